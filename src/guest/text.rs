//! Configuration files as text that loses no byte.
//!
//! Each byte becomes the character of the same number, so that a file in any encoding can be taken
//! apart, changed in one line and put together again.

/// Marks a line that was taken out of a file: without the mark it is what it was.
pub const OUT: &str = "#stratus: ";

/// Puts `lines`, which end with their line's end, at the end of `text`.
pub fn append(text: &mut String, lines: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(lines);
}

/// Bytes as text.
pub fn decode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The bytes of such a text. A character beyond U+00FF, which [`decode`] never makes, becomes its
/// UTF-8 bytes.
pub fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(u32::from(c)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_a_line_of_its_own() {
        for (before, after) in [("", "b\n"), ("a", "a\nb\n"), ("a\n", "a\nb\n")] {
            let mut text = before.to_owned();
            append(&mut text, "b\n");
            assert_eq!(text, after);
        }
    }

    #[test]
    fn no_byte_is_lost() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(encode(&decode(&bytes)), bytes);
    }
}
