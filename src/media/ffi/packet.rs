//! Packets: reference-counted buffers of libav, as values.

use super::{check, ffi, out_of_memory};
use crate::base::Result;
use std::ptr::NonNull;

const NO_PTS: i64 = ffi::AV_NOPTS_VALUE;

/// One compressed packet.
pub struct Packet(NonNull<ffi::AVPacket>);

// SAFETY: an AVPacket is plain data plus an atomically counted buffer; nothing in it is bound to a thread.
unsafe impl Send for Packet {}

impl Packet {
    pub fn new() -> Result<Self> {
        super::initialise();
        // SAFETY: returns a fresh packet or null.
        NonNull::new(unsafe { ffi::av_packet_alloc() }).map(Self).ok_or_else(|| out_of_memory("packet"))
    }

    /// A packet holding a copy of `bytes` (with the padding decoders read past the end).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let packet = Self::new()?;
        let length = i32::try_from(bytes.len()).map_err(|_| out_of_memory("packet"))?;
        // SAFETY: av_new_packet allocates `length` bytes plus padding at data, or fails.
        unsafe {
            check("allocating a packet", ffi::av_new_packet(packet.0.as_ptr(), length))?;
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (*packet.0.as_ptr()).data, bytes.len());
        }
        Ok(packet)
    }

    /// Puts `bytes` in the place of what it held, in the same memory where nobody else reads that any more.
    pub fn refill(&mut self, bytes: &[u8]) -> Result<()> {
        const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
        let length = i32::try_from(bytes.len()).map_err(|_| out_of_memory("packet"))?;
        let raw = self.0.as_ptr();
        // SAFETY: the packet is ours. Its buffer is written to only where it is the only reference and has room for the
        // bytes and the padding that decoders read past their end, which is zeroed; else it is let go of and another is
        // allocated with that room.
        unsafe {
            let buffer = (*raw).buf;
            let fits = !buffer.is_null()
                && ffi::av_buffer_is_writable(buffer) != 0
                && (*buffer).size as usize >= bytes.len() + PADDING;
            if fits {
                (*raw).data = (*buffer).data;
                std::ptr::write_bytes((*buffer).data.add(bytes.len()), 0, PADDING);
                (*raw).size = length;
            } else {
                ffi::av_packet_unref(raw);
                check("allocating a packet", ffi::av_new_packet(raw, length))?;
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), (*raw).data, bytes.len());
        }
        Ok(())
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVPacket {
        self.0.as_ptr()
    }

    fn get(&self) -> &ffi::AVPacket {
        // SAFETY: the packet is ours and alive; AVPacket has no enum fields that could hold unknown values.
        unsafe { self.0.as_ref() }
    }

    fn get_mut(&mut self) -> &mut ffi::AVPacket {
        // SAFETY: as in `get`, and `&mut self` makes the access exclusive.
        unsafe { self.0.as_mut() }
    }

    pub fn data(&self) -> &[u8] {
        let packet = self.get();
        if packet.data.is_null() || packet.size <= 0 {
            return &[];
        }
        // SAFETY: libav keeps `size` readable bytes at `data` as long as the packet holds its buffer.
        unsafe { std::slice::from_raw_parts(packet.data, packet.size as usize) }
    }

    /// Presentation time in the stream's time base.
    pub fn pts(&self) -> Option<i64> {
        Some(self.get().pts).filter(|pts| *pts != NO_PTS)
    }

    /// Decoding time in the stream's time base.
    pub fn dts(&self) -> Option<i64> {
        Some(self.get().dts).filter(|dts| *dts != NO_PTS)
    }

    pub fn set_times(&mut self, pts: Option<i64>, dts: Option<i64>) {
        self.get_mut().pts = pts.unwrap_or(NO_PTS);
        self.get_mut().dts = dts.unwrap_or(NO_PTS);
    }

    /// In the stream's time base.
    pub fn set_duration(&mut self, duration: i64) {
        self.get_mut().duration = duration;
    }

    pub fn stream(&self) -> usize {
        usize::try_from(self.get().stream_index).unwrap_or(usize::MAX)
    }

    pub fn set_stream(&mut self, stream: usize) {
        self.get_mut().stream_index = stream as i32;
    }

    /// The container's or parser's word that decoding can start here.
    pub fn is_key(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_KEY as i32 != 0
    }

    pub fn set_key(&mut self, key: bool) {
        let flag = ffi::AV_PKT_FLAG_KEY as i32;
        let flags = &mut self.get_mut().flags;
        *flags = if key { *flags | flag } else { *flags & !flag };
    }

    /// Needed for decoding only: an edit list leaves it out.
    pub fn is_discarded(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_DISCARD as i32 != 0
    }

    /// Parts of it were lost on the way.
    pub fn is_corrupt(&self) -> bool {
        self.get().flags & ffi::AV_PKT_FLAG_CORRUPT as i32 != 0
    }

    /// Its byte in the file, where the container tells.
    pub fn position(&self) -> Option<u64> {
        u64::try_from(self.get().pos).ok()
    }

    /// Its content is encrypted (ISO/IEC 23001-7).
    pub fn is_encrypted(&self) -> bool {
        let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_ENCRYPTION_INFO;
        // SAFETY: the packet is ours; the side data is looked for and not read.
        unsafe { !ffi::av_packet_get_side_data(self.0.as_ptr(), kind, std::ptr::null_mut()).is_null() }
    }

    /// A second picture that comes with it and says how opaque the first is (WebM's alpha), as Matroska adds it to a block.
    pub fn alpha(&self) -> Option<&[u8]> {
        self.side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL)
    }

    pub fn set_alpha(&mut self, bytes: &[u8]) -> Result<()> {
        self.add_side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_MATROSKA_BLOCKADDITIONAL, bytes)
    }

    /// The wall time of its presentation by the source's own clock, in microseconds since 1970, where it tells one: RTP tells
    /// it once a sender report came.
    pub fn producer_time(&self) -> Option<i64> {
        let mut size = 0;
        // SAFETY: the packet is ours; the side data is read as what libav documents, once it is long enough.
        unsafe {
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_PRFT;
            let data = ffi::av_packet_get_side_data(self.0.as_ptr(), kind, &mut size);
            (!data.is_null() && size >= size_of::<ffi::AVProducerReferenceTime>())
                .then(|| data.cast::<ffi::AVProducerReferenceTime>().read_unaligned().wallclock)
        }
    }

    /// What decoders are to be set up with from this packet on, where it changes.
    pub fn new_extradata(&self) -> Option<&[u8]> {
        self.side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA)
    }

    fn side_data(&self, kind: ffi::AVPacketSideDataType) -> Option<&[u8]> {
        let mut size = 0;
        // SAFETY: the packet is ours and borrowed while the side data, which it owns, is.
        unsafe {
            let data = ffi::av_packet_get_side_data(self.0.as_ptr(), kind, &mut size);
            (!data.is_null() && size > 0).then(|| std::slice::from_raw_parts(data, size))
        }
    }

    fn add_side_data(&mut self, kind: ffi::AVPacketSideDataType, bytes: &[u8]) -> Result<()> {
        // SAFETY: the packet is ours; libav gives as many writable bytes as are asked for.
        unsafe {
            let data = ffi::av_packet_new_side_data(self.0.as_ptr(), kind, bytes.len());
            if data.is_null() {
                return Err(out_of_memory("packet"));
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
        }
        Ok(())
    }

    /// In the stream's time base; 0 when it is not known.
    pub fn duration(&self) -> i64 {
        self.get().duration
    }

    /// Says that the last `samples` decoded from this packet are not to be heard.
    pub fn trim_end(&mut self, samples: u32) -> Result<()> {
        // Two 32-bit numbers and two reasons.
        let mut bytes = [0; 10];
        bytes[4..8].copy_from_slice(&samples.to_le_bytes());
        self.add_side_data(ffi::AVPacketSideDataType::AV_PKT_DATA_SKIP_SAMPLES, &bytes)
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        let mut raw = self.0.as_ptr();
        // SAFETY: the packet was allocated by av_packet_alloc and is freed once.
        unsafe { ffi::av_packet_free(&mut raw) };
    }
}
