use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::state::hex;
use super::*;

/// Every set of algorithms, with the empty one.
fn all_sets() -> impl Iterator<Item = Vec<Algorithm>> {
    (0..16_u32).map(|set| {
        let chosen = |(bit, _): &(usize, Algorithm)| set >> bit & 1 == 1;
        let members = Algorithm::ALL.into_iter().enumerate().filter(chosen);
        members.map(|(_, algorithm)| algorithm).collect()
    })
}

/// A linear congruential generator: the same numbers on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 40).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

fn digests(algorithms: &[Algorithm], bytes: &[u8]) -> Digests {
    let mut set = DigestSet::new(algorithms);
    set.update(bytes);
    set.finish()
}

/// The digests by the crates' own hashers, which share no code with ours but the block functions.
fn expected(bytes: &[u8]) -> Digests {
    Digests::from([
        (Algorithm::Md5, hex(&Md5::digest(bytes))),
        (Algorithm::Sha1, hex(&Sha1::digest(bytes))),
        (Algorithm::Sha256, hex(&Sha256::digest(bytes))),
        (Algorithm::Sha512, hex(&Sha512::digest(bytes))),
    ])
}

fn only(digests: &Digests, algorithms: &[Algorithm]) -> Digests {
    let mut digests = digests.clone();
    digests.retain(|algorithm, _| algorithms.contains(algorithm));
    digests
}

/// RFC 1321 appendix A.5, and the examples NIST publishes for FIPS 180-4.
#[test]
fn published_examples() {
    let of = |bytes| digests(&Algorithm::ALL, bytes).into_values().collect::<Vec<_>>();
    assert_eq!(
        of(b""),
        [
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
             47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ]
    );
    assert_eq!(
        of(b"abc"),
        [
            "900150983cd24fb0d6963f7d28e17f72",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ]
    );
}

#[test]
fn every_set_agrees_with_the_crates_at_every_short_length() {
    let bytes = Numbers(1).bytes(260);
    for len in 0..=bytes.len() {
        let expected = expected(&bytes[..len]);
        for set in all_sets() {
            let expected = only(&expected, &set);
            assert_eq!(digests(&set, &bytes[..len]), expected, "{set:?} {len}");
        }
    }
}

#[test]
fn division_over_calls_changes_nothing() {
    let mut numbers = Numbers(2);
    let bytes = numbers.bytes((1 << 20) + 3);
    for len in [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, bytes.len()] {
        let mut set = DigestSet::new(&Algorithm::ALL);
        let mut rest = &bytes[..len];
        while !rest.is_empty() {
            let longest = [3, 64, 200, 100_000][numbers.next() % 4];
            let (piece, later) = rest.split_at((numbers.next() % longest).min(rest.len()));
            set.update(piece);
            rest = later;
        }
        assert_eq!(set.len(), len as u64);
        assert_eq!(set.finish(), expected(&bytes[..len]), "{len}");
    }
}

#[test]
fn zeros_are_zeros_at_any_offset() {
    for set in all_sets() {
        for before in [0, 1, 63, 64, 77, 128] {
            for zeros in [0_u16, 1, 50, 51, 64, 127, 128, 4096, 9001] {
                let mut bytes = vec![7; before];
                let mut by_count = DigestSet::new(&set);
                by_count.update(&bytes);
                by_count.update_zeros(u64::from(zeros));
                by_count.update(b"end");
                bytes.resize(before + usize::from(zeros), 0);
                let mut in_memory = DigestSet::new(&set);
                in_memory.update(&bytes);
                in_memory.update(b"end");
                let case = format!("{set:?} {before} {zeros}");
                assert_eq!(by_count.state(), in_memory.state(), "{case}");
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let long = SPLIT_FROM + 1000;
    let bytes = Numbers(3).bytes(usize::try_from(long).unwrap());
    for set in [&Algorithm::ALL[..], &Algorithm::ALL[1..3], &[]] {
        let (mut together, mut split) = (DigestSet::new(set), DigestSet::new(set));
        for len in [5, 1000, bytes.len()] {
            together.update(&bytes[..len]);
            split.update_split(&bytes[..len]);
            assert_eq!(split.state(), together.state(), "{set:?} {len}");
        }
        // MD5 and SHA-512 are slow without optimization, and the threads are the same.
        for len in [5, 1000, long].into_iter().filter(|_| set.len() < 4) {
            together.update_zeros(len);
            split.update_zeros_split(len);
            assert_eq!(split.state(), together.state(), "{set:?} {len} zeros");
        }
    }
}

#[test]
fn a_state_goes_through_json_at_any_byte() {
    let bytes = Numbers(4).bytes(500_100);
    for cut in [0, 1, 63, 64, 65, 127, 128, 500_001] {
        for set in all_sets().filter(|set| cut < 1000 || set.len() == 2 || set.len() == 4) {
            let mut before = DigestSet::new(&set);
            before.update(&bytes[..cut]);
            let text = serde_json::to_string(&before.state()).unwrap();
            let read: State = serde_json::from_str(&text).unwrap();
            let mut after = DigestSet::resume(&read).unwrap();
            assert_eq!(after.state(), before.state());
            assert_eq!(after.len(), cut as u64);
            assert_eq!(after.algorithms(), set);
            let rest = &bytes[cut..][..99];
            before.update(rest);
            after.update(rest);
            assert_eq!(after.finish(), before.finish(), "{set:?} {cut}");
        }
    }
}

/// The text is a file format: journals written by one version are read by the next.
#[test]
fn the_text_of_a_state() {
    let mut set = DigestSet::new(&[Algorithm::Sha1, Algorithm::Md5, Algorithm::Sha1]);
    set.update(b"ab");
    let text = concat!(
        r#"{"len":2,"pending":"6162","chains":["#,
        r#"{"algorithm":"md5","words":"67452301efcdab8998badcfe10325476"},"#,
        r#"{"algorithm":"sha1","words":"67452301efcdab8998badcfe10325476c3d2e1f0"}]}"#
    );
    assert_eq!(serde_json::to_string(&set.state()).unwrap(), text);
    set.update(&[b'c'; 64]);
    let sha1 = &serde_json::to_value(set.state()).unwrap()["chains"][1]["words"];
    assert_eq!(sha1, AFTER_ONE_BLOCK);
}

/// The SHA-1 words after "ab" and 62 times "c", computed apart from any crate, from FIPS 180-4.
const AFTER_ONE_BLOCK: &str = "1d323d420d4dd789ca1cadd002c07d15a5c45af4";

#[test]
fn resume_refuses_what_no_set_can_have_written() {
    let mut set = DigestSet::new(&[Algorithm::Sha1, Algorithm::Sha512]);
    set.update(&[1; 350]);
    let good = serde_json::to_string(&set.state()).unwrap();
    let resumes = |text: &str| {
        let state = serde_json::from_str::<State>(text);
        state.is_ok_and(|state| DigestSet::resume(&state).is_some())
    };
    let (sha1, sha512) = good.split_once("},{").unwrap();
    let (head, sha1) = sha1.split_once("[{").unwrap();
    let sha512 = sha512.strip_suffix("}]}").unwrap();
    let with = |chains: &[&str]| format!("{head}[{{{}}}]}}", chains.join("},{"));
    assert!(resumes(&good) && resumes(&with(&[sha1, sha512])));

    assert!(!resumes(&with(&[sha1, sha1, sha512])), "one twice");
    assert!(!resumes(&with(&[sha512, sha1])), "not in order");
    assert!(!resumes(&with(&[sha1])), "94 bytes pend, stride is now 64");
    assert!(!resumes(&with(&[&sha1.replace("sha1", "sha3"), sha512])));
    assert!(!resumes(&with(&[&sha1.replace("sha1", "sha256"), sha512])));
    let field = r#""words":""#;
    let wordy = |new: &str| good.replacen(field, &format!("{field}{new}"), 1);
    assert!(!resumes(&wordy("00000000")), "a word too many");
    assert!(!resumes(&wordy("0")), "half a byte too many");
    assert!(!resumes(&good.replacen("\"words\":\"", "\"words\":\"\",\"x\":\"", 1)));
    for (from, to) in [
        (r#""len":350"#, r#""len":351"#),
        (r#""len":350"#, r#""len":-34"#),
        (r#""len":350"#, r#""len":94"#), // as many pending, but no block to change the words
        (r#""len":350"#, r#""len":2305843009213694046"#), // 2^61 + 94
        (r#""pending":"01"#, r#""pending":""#),
        (r#""pending":"01"#, r#""pending":"0"#),
        (r#""pending":"01"#, r#""pending":"0A"#),
        (r#""pending":"01"#, r#""pending":"+1"#),
        (r#""pending":"01"#, r#""pending":"é"#),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        assert!(!resumes(&bad), "{bad}");
    }
    assert!(resumes(&good.replacen(":350", ":222", 1)), "not detectable");
}

#[test]
fn names() {
    for algorithm in Algorithm::ALL {
        let name = algorithm.to_string();
        assert_eq!(name.parse(), Ok(algorithm));
        assert_eq!(serde_json::to_value(algorithm).unwrap(), *name);
        assert!(name.to_uppercase().parse::<Algorithm>().is_err());
    }
    let error = "sha-1".parse::<Algorithm>().unwrap_err().to_string();
    assert_eq!(error, "unknown digest algorithm \"sha-1\": use md5, sha1, sha256 or sha512");
}

#[test]
fn crc_of_parts() {
    let bytes = Numbers(5).bytes(5000);
    let whole = crc32fast::hash(&bytes);
    for cut in [0, 1, 7, 4096, 4999, 5000] {
        let (a, b) = bytes.split_at(cut);
        let joined = crc32_combine(crc32fast::hash(a), crc32fast::hash(b), b.len() as u64);
        assert_eq!(joined, whole, "{cut}");
    }
    let zeros = vec![0; 1 << 16];
    for len in [0, 1, 2, 3, 63, 64, 1000, 65_535, 65_536] {
        assert_eq!(crc32_zeros(len as u64), crc32fast::hash(&zeros[..len]), "{len}");
    }
    // Far beyond what can be hashed here: two ways to the same CRC.
    let (a, b) = (5 << 40, (3 << 33) + 1);
    let joined = crc32_combine(crc32_zeros(a), crc32_zeros(b), b);
    assert_eq!(joined, crc32_zeros(a + b));
}
