//! MPEG-TS as bytes (ISO/IEC 13818-1, which is ITU-T H.222.0), read, changed in place and written, without libav.

mod adts;
mod counters;
mod crc;
mod fields;
pub mod packet;
mod patch;
pub mod pes;
mod program;
pub mod psi;
mod rename;
mod section;
mod splice;
mod stamp;
mod unit;
mod write;

pub use adts::{AdtsFrame, AdtsFrames, adts_frame};
pub use counters::{ContinuityCounters, CounterProfile, PidCounters};
pub use packet::{Packet, Packets};
pub use patch::{Patch, PatchReport};
pub use pes::PesReader;
pub use rename::{Pids, Rename};
pub use section::{ProgramFacts, StreamFacts};
pub use unit::access_unit_delimiter;
pub use write::TsWriter;

/// Bytes of a transport packet (H.222.0 §2.4.3.2).
pub const PACKET_BYTES: usize = 188;
const SYNC: u8 = 0x47;
/// Stuffing; its continuity counters mean nothing.
const NULL_PID: u16 = 0x1fff;
/// PIDs have 13 bits.
const PIDS: usize = 1 << 13;
