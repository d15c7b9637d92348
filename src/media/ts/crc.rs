//! The checksum of sections: CRC-32/MPEG-2 (H.222.0 annex A).

const POLYNOMIAL: u32 = 0x04c1_1db7;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = value << 1 ^ if value >> 31 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// The checksum of `bytes`; 0 for a section that includes its own.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| crc << 8 ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_mpeg() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7, "the catalogue's check value");
        assert_eq!(crc32(b""), !0);
        assert_eq!(crc32(&[b"123456789", &0x0376_e6e7_u32.to_be_bytes()[..]].concat()), 0);
    }
}
