//! Numbers in decimal, with commas between them: what the JSON of a day spends its time on.

/// A list of numbers that is being written.
#[derive(Debug)]
pub struct Decimals(Vec<u8>);

/// A word's bytes from the lowest on are the text: five digits, the first of them lowest.
const fn five(number: u32) -> u64 {
    const fn digit(number: u32, unit: u32) -> u64 {
        (number / unit % 10 + b'0' as u32) as u64
    }
    digit(number, 10_000)
        | digit(number, 1000) << 8
        | digit(number, 100) << 16
        | digit(number, 10) << 24
        | digit(number, 1) << 32
}

/// A whole number and a comma, and how many bytes of the word they are.
const fn text(number: i16) -> (u64, usize) {
    let value = number.unsigned_abs();
    let digits = match value {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        1000..10_000 => 4,
        _ => 5,
    };
    let word = (five(value as u32) | (b',' as u64) << 40) >> (8 * (5 - digits));
    if number < 0 { (word << 8 | b'-' as u64, digits + 2) } else { (word, digits + 1) }
}

/// The texts of all numbers of 8 bits: most are.
static SMALL: [(u64, usize); 256] = {
    let mut all = [(0, 0); 256];
    let mut at = 0;
    while at < 256 {
        all[at] = text(at as u8 as i8 as i16);
        at += 1;
    }
    all
};

impl Decimals {
    /// Text that a list follows, of some `bytes`.
    pub fn after(text: impl Into<Vec<u8>>, bytes: usize) -> Self {
        let mut text = text.into();
        text.reserve(bytes);
        Self(text)
    }

    /// Appends the first bytes of a word.
    fn word(&mut self, word: u64, bytes: usize) {
        // All of it is written, which is one instruction, and what is too much taken back.
        let end = self.0.len() + bytes;
        self.0.extend_from_slice(&word.to_le_bytes());
        self.0.truncate(end);
    }

    /// Appends a whole number.
    pub fn integer(&mut self, number: i16) {
        let (word, bytes) = match i8::try_from(number) {
            Ok(number) => SMALL[usize::from(number as u8)],
            Err(_) => text(number),
        };
        self.word(word, bytes);
    }

    /// Appends so many 32768ths, with five digits: finer than a sample of 16 bits. 0 is one letter, and there are none above 1.
    pub fn fraction(&mut self, number: u16) {
        let number = u32::from(number.min(1 << 15));
        if number == 0 {
            return self.word(u64::from_le_bytes(*b"0,      "), 2);
        }
        let rounded = ((u64::from(number) * 100_000 + (1 << 14)) >> 15) as u32;
        let whole = u64::from(b'0') + u64::from(rounded / 100_000);
        self.word(whole | u64::from(b'.') << 8 | five(rounded % 100_000) << 16 | u64::from(b',') << 56, 8);
    }

    /// The list, and text after it.
    pub fn end(mut self, text: &str) -> Vec<u8> {
        if self.0.last() == Some(&b',') {
            self.0.pop();
        }
        self.0.extend_from_slice(text.as_bytes());
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_as_they_are_written() {
        for number in i16::MIN..=i16::MAX {
            let mut list = Decimals::after("", 0);
            list.integer(number);
            assert_eq!(list.end(""), number.to_string().into_bytes());
        }
    }

    #[test]
    fn fractions_have_five_digits() {
        for number in 0..=1u16 << 15 {
            let mut list = Decimals::after("[", 0);
            list.fraction(number);
            let text = String::from_utf8(list.end("]")).unwrap();
            let value: f64 = text[1..text.len() - 1].parse().unwrap();
            assert!((value - f64::from(number) / 32768.0).abs() <= 0.000_005_001, "{number} {text}");
            assert!(text.len() == if number == 0 { 3 } else { 9 }, "{text}");
        }
    }

    #[test]
    fn commas_are_between() {
        let mut list = Decimals::after("[", 9);
        assert_eq!(Decimals::after("[", 0).end("]"), b"[]");
        list.integer(-1);
        list.fraction(1 << 15);
        list.integer(0);
        assert_eq!(list.end("]"), b"[-1,1.00000,0]");
    }
}
