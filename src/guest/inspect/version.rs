//! Which kernel version is newer?

use std::cmp::Ordering;

/// A piece of a version, in the order in which pieces sort: `6.1-rc3` < `6.1` < `6.1-x` < `6.1.1`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece<'v> {
    /// A release candidate, older than the release.
    Candidate,
    End,
    Word(&'v str),
    /// By its number of digits, then by the digits: no number is too large.
    Number(usize, &'v str),
}

/// Compares two kernel versions: numbers by value, words by the alphabet, dividers not at all.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    // The texts themselves decide between those that differ only in dividers or leading zeros.
    pieces(a).cmp(pieces(b)).then_with(|| a.cmp(b))
}

fn pieces(version: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = version;
    let mut ended = false;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        let Some(first) = rest.bytes().next() else {
            return (!std::mem::replace(&mut ended, true)).then_some(Piece::End);
        };
        let number = first.is_ascii_digit();
        let same = |c: char| c.is_ascii_alphanumeric() && c.is_ascii_digit() == number;
        let (piece, behind) = rest.split_at(rest.find(|c| !same(c)).unwrap_or(rest.len()));
        rest = behind;
        Some(if number {
            let digits = piece.trim_start_matches('0');
            Piece::Number(digits.len(), digits)
        } else if piece == "rc" {
            Piece::Candidate
        } else {
            Piece::Word(piece)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_first() {
        let order = [
            "2.6.18-398.el5",
            "2.6.32-5-686",
            "2.6.32-754.35.1.el6.x86_64",
            "3.16.0-4-amd64",
            "4.18.0-80.el8.x86_64",
            "4.18.0-513.5.1.el8_9.x86_64",
            "5.4.0-9-generic",
            "5.4.0-100-generic",
            "6.1-rc3",
            "6.1-rc10",
            "6.1",
            "6.1-arch1",
            "6.1.0-9-amd64",
            "6.1.0-10-amd64",
            "6.1.0-10-cloud-amd64",
            "6.1.99999999999999999999999999",
            "6.6.1-0-lts",
            "10.0",
        ];
        for pair in order.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("6.1", "6.1"), Ordering::Equal);
    }

    proptest::proptest! {
        /// Sorting relies on it.
        #[test]
        fn it_is_an_order(a in "[0-2a-crc.~-]{0,8}", b in "[0-2a-crc.~-]{0,8}", c in "[0-2a-crc.~-]{0,8}") {
            assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                assert!(compare(&a, &c).is_le(), "{a:?} {b:?} {c:?}");
            }
        }
    }
}
