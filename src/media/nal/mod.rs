//! Start codes, NAL units and what their headers say: as much of H.264, H.265 and H.262 as finding, classing and
//! joining pictures takes. Pure functions of bytes; nothing is decoded.

pub mod adopt;
pub mod av1;
mod bits;
pub mod boxed;
pub mod h264;
pub mod hevc;
mod hevc_sps;
pub mod marking;
pub mod mpeg2;
pub mod prefixed;
pub mod slice;
pub mod vp9;
pub mod vui;

pub use bits::{BitReader, BitWriter};

use memchr::memmem::Finder;

/// What precedes each unit of a byte stream (H.264 Annex B, H.265 Annex B, H.262 §5.2.3).
pub const START_CODE: [u8; 3] = [0, 0, 1];

/// Finds start codes.
#[derive(Debug)]
pub struct StartCodes(Finder<'static>);

impl Default for StartCodes {
    fn default() -> Self {
        Self(Finder::new(&START_CODE))
    }
}

impl StartCodes {
    /// Index of the next start code's first byte.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.0.find(bytes)
    }

    /// The units of a whole byte stream, without their start codes. Zeros between units are left at their ends.
    pub fn units<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.find(bytes).map(|at| &bytes[at + START_CODE.len()..]);
        std::iter::from_fn(move || {
            let now = rest?;
            let end = self.find(now);
            rest = end.map(|at| &now[at + START_CODE.len()..]);
            Some(&now[..end.unwrap_or(now.len())])
        })
    }
}

/// A NAL unit never ends in a zero byte (H.264 §7.4.1): zeros there belong to the next start code or are padding.
pub fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|it| *it != 0).map_or(0, |at| at + 1);
    &unit[..end]
}

/// Takes the emulation prevention bytes out of a NAL unit's content (H.264 §7.3.1, H.265 §7.3.1.1) into `out`.
pub fn unescape<'a>(content: &[u8], out: &'a mut Vec<u8>) -> &'a [u8] {
    out.clear();
    let mut zeros = 0;
    for byte in content {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// Puts emulation prevention bytes into a NAL unit (H.264 §7.4.1, H.265 §7.4.2): the inverse of [`unescape`].
pub fn escape(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 64);
    let mut zeros = 0;
    for byte in content {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// Chroma sampling (chroma_format_idc of H.264 and H.265, chroma_format of H.262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Chroma {
    Monochrome,
    #[default]
    Yuv420,
    Yuv422,
    Yuv444,
}

impl Chroma {
    pub fn from_idc(idc: u32) -> Option<Self> {
        [Self::Monochrome, Self::Yuv420, Self::Yuv422, Self::Yuv444].get(usize::try_from(idc).ok()?).copied()
    }

    /// Luma samples per chroma sample, across and down (SubWidthC, SubHeightC).
    pub fn subsampling(self) -> (u32, u32) {
        match self {
            Self::Yuv420 => (2, 2),
            Self::Yuv422 => (2, 1),
            Self::Monochrome | Self::Yuv444 => (1, 1),
        }
    }
}

/// What a picture is predicted from: of several slices, the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum PictureType {
    #[default]
    I,
    P,
    B,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_of_a_stream() {
        let codes = StartCodes::default();
        let stream = [9, 9, 0, 0, 1, 5, 6, 0, 0, 0, 1, 7, 0, 0, 1, 0, 0, 1, 8, 0];
        let units: Vec<&[u8]> = codes.units(&stream).collect();
        assert_eq!(units, [&[5, 6, 0][..], &[7], &[], &[8, 0]]);
        assert_eq!(without_trailing_zeros(&[5, 6, 0, 0]), [5, 6]);
        assert!(without_trailing_zeros(&[0, 0]).is_empty());
        assert_eq!(codes.units(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn emulation_prevention_is_removed() {
        let mut out = Vec::new();
        for (from, to) in [
            (&[0, 0, 3, 1][..], &[0, 0, 1][..]),
            (&[0, 0, 3, 0, 0, 3, 3], &[0, 0, 0, 0, 3]),
            (&[0, 3, 0, 0, 3], &[0, 3, 0, 0]),
            (&[], &[]),
        ] {
            assert_eq!(unescape(from, &mut out), to, "{from:?}");
        }
    }

    proptest! {
        #[test]
        fn escaping_has_an_inverse(bytes in prop::collection::vec(0u8..5, 0..100)) {
            let escaped = escape(&bytes);
            prop_assert!(!escaped.windows(3).any(|it| it[..2] == [0, 0] && it[2] < 3));
            let mut out = Vec::new();
            prop_assert_eq!(unescape(&escaped, &mut out), &bytes[..]);
        }

        #[test]
        fn hostile_units_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..300), zeros in any::<bool>()) {
            let bytes: Vec<u8> = if zeros { bytes.iter().map(|it| it & 0x11).collect() } else { bytes };
            let sps = h264::Sps::parse(&bytes);
            let pps = h264::Pps::parse(&bytes);
            h264::sei(&bytes, sps.as_ref());
            if let (Some(sps), Some(pps)) = (&sps, &pps) {
                h264::SliceHeader::parse(&bytes, |_| Some((sps, pps)));
            }
            let (sps, pps) = (hevc::Sps::parse(&bytes), hevc::Pps::parse(&bytes));
            hevc::recovery_point(&bytes);
            if let (Some(sps), Some(pps)) = (&sps, &pps) {
                hevc::SliceHeader::parse(&bytes, |_| Some((sps, pps)));
            }
            mpeg2::Sequence::parse(&bytes);
            mpeg2::PictureHeader::parse(&bytes);
            mpeg2::PictureCoding::parse(&bytes);
        }
    }
}
