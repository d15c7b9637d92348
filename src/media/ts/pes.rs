//! PES packets (H.222.0 §2.4.3.6): from the transport packets of one PID to the bytes of its elementary stream.

use super::packet::Packet;

/// Start code, stream_id, length, flags and PES_header_data_length.
const FIXED_BYTES: usize = 9;
/// Start code, stream_id, length: all there is for streams without a header of their own.
const SHORT_BYTES: usize = 6;

/// What a PES packet's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PesHeader {
    /// In ticks of 90 kHz, 33 bits.
    pub pts: Option<i64>,
    /// In ticks of 90 kHz, 33 bits; absent where it equals the PTS.
    pub dts: Option<i64>,
}

/// Elementary bytes of one transport packet.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    pub bytes: &'a [u8],
    /// Index inside the transport packet of the first of `bytes`.
    pub inside: u8,
    /// Set where `bytes` are the first of a PES packet.
    pub begins: Option<Begin>,
    /// Bytes before these were lost.
    pub gap: bool,
    /// The PES packet ends in the midst of this transport packet, which it does not begin in: what follows in it is left
    /// out, and whoever starts to read here does not know.
    pub cut: bool,
}

/// The start of a PES packet.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    pub header: PesHeader,
    /// Offset of the transport packet that the PES packet starts in; its elementary bytes may start in a later one.
    pub packet: u64,
    /// random_access_indicator of that transport packet.
    pub random_access: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No PES packet has begun, or the one that did is over.
    Outside,
    Header,
    Inside,
}

/// Strips one PID's packets to its elementary stream. Holds the header of one PES packet at most.
#[derive(Debug)]
pub struct PesReader<'a> {
    state: State,
    head: [u8; FIXED_BYTES + 255],
    held: usize,
    /// Of a PES packet that says its length: elementary bytes to come.
    left: Option<usize>,
    begin: (u64, bool),
    counter: Option<u8>,
    /// The last payload, to know a repetition by (H.222.0 §2.4.3.3).
    last: &'a [u8],
    lost: bool,
    /// How often packets were missing, damaged or scrambled.
    pub gaps: u32,
}

impl Default for PesReader<'_> {
    fn default() -> Self {
        Self {
            state: State::Outside,
            head: [0; FIXED_BYTES + 255],
            held: 0,
            left: None,
            begin: (0, false),
            counter: None,
            last: &[],
            lost: false,
            gaps: 0,
        }
    }
}

impl<'a> PesReader<'a> {
    /// A reader that begins inside a PES packet of unknown length.
    pub fn inside() -> Self {
        Self { state: State::Inside, ..Self::default() }
    }

    /// Takes the PID's next packet. `None` when it adds no elementary bytes.
    pub fn push(&mut self, packet: Packet<'a>) -> Option<Chunk<'a>> {
        if packet.is_broken() || packet.is_scrambled() {
            self.lose();
            return None;
        }
        if !packet.has_payload() {
            return None;
        }
        let inside = packet.payload_start();
        let payload = packet.from_index(inside);
        let counter = packet.counter();
        if let Some(last) = self.counter.replace(counter)
            && last.wrapping_add(1) & 0x0f != counter
            && !packet.is_discontinuity()
        {
            if last == counter && self.last == payload {
                return None;
            }
            self.lose();
        }
        self.last = payload;
        if packet.starts_unit() {
            self.state = State::Header;
            self.held = 0;
            self.begin = (packet.offset, packet.is_random_access());
        }
        let chunk = match self.state {
            State::Outside => None,
            State::Inside => self.chunk(payload, inside, None),
            State::Header => self.header(payload, inside),
        };
        chunk.map(|it| Chunk { cut: it.cut && !packet.starts_unit(), ..it })
    }

    fn lose(&mut self) {
        self.lost = true;
        self.gaps = self.gaps.saturating_add(1);
        if self.state == State::Header {
            self.state = State::Outside;
        }
    }

    fn chunk(&mut self, bytes: &'a [u8], inside: usize, begins: Option<Begin>) -> Option<Chunk<'a>> {
        let (mut bytes, all) = (bytes, bytes.len());
        if let Some(left) = &mut self.left {
            bytes = &bytes[..bytes.len().min(*left)];
            *left -= bytes.len();
            if *left == 0 {
                self.state = State::Outside;
            }
        }
        if bytes.is_empty() && begins.is_none() {
            return None;
        }
        // `inside` is at most 188.
        let (inside, gap) = (inside as u8, std::mem::take(&mut self.lost));
        Some(Chunk { bytes, inside, begins, gap, cut: bytes.len() < all })
    }

    fn header(&mut self, payload: &'a [u8], inside: usize) -> Option<Chunk<'a>> {
        let mut used = 0;
        loop {
            let wanted = self.head_bytes();
            let now = (wanted - self.held).min(payload.len() - used);
            self.head[self.held..self.held + now].copy_from_slice(&payload[used..used + now]);
            self.held += now;
            used += now;
            if self.held < wanted {
                return None;
            }
            // The fixed part tells how long the whole is.
            if self.head_bytes() == self.held {
                break;
            }
        }
        let Some((header, left)) = parse(&self.head[..self.held]) else {
            self.state = State::Outside;
            return None;
        };
        self.state = State::Inside;
        self.left = left;
        let (packet, random_access) = self.begin;
        self.chunk(&payload[used..], inside + used, Some(Begin { header, packet, random_access }))
    }

    /// Bytes of the header, as far as those held tell.
    fn head_bytes(&self) -> usize {
        match self.held {
            0..SHORT_BYTES => SHORT_BYTES,
            _ if !has_header(self.head[3]) => SHORT_BYTES,
            SHORT_BYTES..FIXED_BYTES => FIXED_BYTES,
            _ => FIXED_BYTES + usize::from(self.head[8]),
        }
    }
}

/// Whether PES packets of this stream_id have flags and times (H.222.0 §2.4.3.7): the others are the map, padding,
/// private_stream_2, ECM, EMM, the directory, DSM-CC and H.222.1 type E.
fn has_header(stream_id: u8) -> bool {
    !matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xff | 0xf2 | 0xf8)
}

/// The times in a complete header, and how many elementary bytes follow (`None`: up to the next PES packet).
fn parse(head: &[u8]) -> Option<(PesHeader, Option<usize>)> {
    let [0, 0, 1, stream_id, l0, l1, ref rest @ ..] = *head else { return None };
    // Padding is no elementary stream.
    if stream_id == 0xbe {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let left = |length: usize| (length != 0).then(|| (length + SHORT_BYTES).saturating_sub(head.len()));
    let [_, flags, _, ref fields @ ..] = *rest else {
        return Some((PesHeader::default(), left(length)));
    };
    let pts = if flags & 0x80 != 0 { fields.first_chunk().map(time) } else { None };
    let dts =
        if flags & 0xc0 == 0xc0 { fields.get(5..).and_then(|it| it.first_chunk()).map(time) } else { None };
    Some((PesHeader { pts, dts }, left(length)))
}

/// 33 bits with a marker bit after each part (H.222.0 §2.4.3.7).
fn time(field: &[u8; 5]) -> i64 {
    let [a, b, c, d, e] = field.map(i64::from);
    (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ts::PACKET_BYTES;

    /// A packet with `payload` at its end, filled up with an adaptation field.
    fn packet(counter: u8, starts: bool, payload: &[u8]) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        packet[..4].copy_from_slice(&[0x47, if starts { 0x41 } else { 1 }, 0, 0x30 | counter]);
        packet[4] = (PACKET_BYTES - 5 - payload.len()) as u8;
        if packet[4] > 0 {
            packet[5] = 0;
        }
        packet[PACKET_BYTES - payload.len()..].copy_from_slice(payload);
        packet
    }

    fn run(packets: &[[u8; PACKET_BYTES]]) -> (Vec<u8>, Vec<PesHeader>, u32) {
        let (mut reader, mut bytes, mut headers) = (PesReader::default(), Vec::new(), Vec::new());
        for (index, packet) in packets.iter().enumerate() {
            if let Some(chunk) = reader.push(Packet::new(packet, index as u64 * 188)) {
                assert_eq!(&packet[usize::from(chunk.inside)..][..chunk.bytes.len()], chunk.bytes);
                bytes.extend_from_slice(chunk.bytes);
                headers.extend(chunk.begins.map(|it| it.header));
            }
        }
        (bytes, headers, reader.gaps)
    }

    /// PTS 2^33 - 1, DTS 90000.
    const HEAD: [u8; 19] =
        [0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10, 0x3f, 0xff, 0xff, 0xff, 0xff, 0x11, 0, 5, 0xbf, 0x21];
    const TIMES: PesHeader = PesHeader { pts: Some((1 << 33) - 1), dts: Some(90_000) };

    #[test]
    fn a_header_is_read_whole_and_in_pieces() {
        let whole = [&HEAD[..], b"picture"].concat();
        assert_eq!(run(&[packet(0, true, &whole)]), (b"picture".to_vec(), vec![TIMES], 0));
        for cut in 1..whole.len() {
            let packets = [packet(0, true, &whole[..cut]), packet(1, false, &whole[cut..])];
            assert_eq!(run(&packets), (b"picture".to_vec(), vec![TIMES], 0), "cut at {cut}");
        }
    }

    #[test]
    fn a_length_that_is_said_ends_the_packet() {
        let mut whole = [&HEAD[..], b"soundstuffing"].concat();
        whole[5] = 13 + 5;
        assert_eq!(run(&[packet(0, true, &whole), packet(1, false, b"more")]).0, b"sound");
    }

    #[test]
    fn repetitions_are_dropped_and_gaps_counted() {
        let first = packet(3, true, &[&HEAD[..], b"a"].concat());
        let packets = [first, first, packet(4, false, b"b"), packet(6, false, b"d")];
        assert_eq!(run(&packets), (b"abd".to_vec(), vec![TIMES], 1));
        let mut broken = packet(5, false, b"x");
        broken[1] |= 0x80;
        assert_eq!(run(&[first, packet(4, false, b"b"), broken]).0, b"ab");
    }

    #[test]
    fn what_is_no_pes_packet_is_passed_over() {
        assert_eq!(run(&[packet(0, false, b"tail"), packet(1, true, b"\0\0\x02nothing at all")]).0, b"");
        assert_eq!(run(&[packet(0, true, &[0, 0, 1, 0xbe, 0, 0, 9, 9])]).0, b"", "padding");
        assert_eq!(run(&[packet(0, true, &[0, 0, 1, 0xbf, 0, 2, 7, 8, 9])]).0, [7, 8]);
        // The header claims more than the PES packet holds.
        assert_eq!(run(&[packet(0, true, &[0, 0, 1, 0xe0, 0, 3, 0x80, 0, 2, 0xff, 0xff, 1, 2])]).0, b"");
    }
}
