//! Eight bytes of a text looked at in one register: "Determine if a word has a byte less than n" and "equal to
//! n" of Anderson's "Bit Twiddling Hacks".

/// Eight bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word(u64);

impl Word {
    /// How many bytes that is.
    pub(super) const LENGTH: usize = 8;

    #[inline]
    pub(super) const fn of(bytes: [u8; Self::LENGTH]) -> Self {
        Self(u64::from_ne_bytes(bytes))
    }

    /// Whether it has this byte.
    #[inline]
    pub(super) const fn has(self, byte: u8) -> bool {
        let zero = self.0 ^ each(byte);
        zero.wrapping_sub(each(1)) & !zero & each(0x80) != 0
    }

    /// Whether every byte is of printable ASCII.
    #[inline]
    pub(super) const fn is_printable(self) -> bool {
        // A byte is ASCII here, or found by itself: neither sum carries into its neighbour unseen.
        let below_blank = self.0.wrapping_sub(each(b' ')) & !self.0;
        let above_tilde = self.0.wrapping_add(each(1)) | self.0;
        (below_blank | above_tilde) & each(0x80) == 0
    }
}

const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; Word::LENGTH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in 0..Word::LENGTH {
                let mut bytes = [b'a'; Word::LENGTH];
                bytes[place] = byte;
                let word = Word::of(bytes);
                assert_eq!(word.is_printable(), matches!(byte, b' '..=b'~'), "{byte} at {place}");
                assert_eq!(word.has(b'"'), byte == b'"', "{byte} at {place}");
                assert_eq!(word.has(b'\\'), byte == b'\\', "{byte} at {place}");
            }
        }
    }
}
