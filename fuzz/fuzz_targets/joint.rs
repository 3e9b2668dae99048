//! The joining of DEFLATE streams: hostile streams are refused or stay what they were, and real
//! ones come out as they went in.

#![no_main]

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use libdeflater::{CompressionLvl, Compressor};
use libfuzzer_sys::fuzz_target;
use stratus::pipeline::gzip::joint::{END, Joiner, stored};
use stratus::pipeline::gzip::{Effort, Packer};

/// What a hostile stream may unpack to here.
const MOST: usize = 5 << 20;

/// Unpacks one raw DEFLATE stream that takes all of `stream`.
fn inflate(stream: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(MOST);
    let mut inflater = Decompress::new(false);
    let status = inflater.decompress_vec(stream, &mut out, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd && inflater.total_in() == stream.len() as u64).then_some(out)
}

/// Any bytes: what is refused stays as it was; what is taken keeps its meaning, if it had one.
fn hostile(stream: &[u8]) {
    let meaning = inflate(stream);
    let mut piece = stream.to_vec();
    if !Joiner::new().open_end(&mut piece) {
        assert_eq!(piece, stream, "refused, but changed");
        return;
    }
    assert!(piece.ends_with(&[0, 0, 0xff, 0xff]), "a piece ends on a byte");
    if let Some(meaning) = meaning {
        let mut joined = piece.clone();
        joined.extend(END);
        assert_eq!(inflate(&joined).as_ref(), Some(&meaning), "another meaning");
        // And behind another piece.
        let mut joined = piece.clone();
        joined.extend(&piece);
        joined.extend(END);
        let twice = meaning.repeat(2);
        if twice.len() < MOST {
            assert_eq!(inflate(&joined), Some(twice), "another meaning the second time");
        }
    }
}

/// Repeats and varies `seed`, so that the compressor finds matches of all kinds.
fn expand(seed: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    for chunk in seed.chunks(8) {
        let [op, count, text @ ..] = chunk else {
            raw.extend(chunk);
            continue;
        };
        match op % 4 {
            0 => raw.extend(text),
            1 => raw.extend(text.repeat(usize::from(*count) * 16)),
            2 => raw.extend((0..usize::from(*count) * 64).map(|i| (i * i / 7) as u8)),
            _ => {
                let distance = (usize::from(*count) * 131 + 1).min(raw.len());
                let from = raw.len() - distance;
                raw.extend_from_within(from..from + distance.min(3000));
            }
        }
    }
    raw.truncate(1 << 20);
    raw
}

/// Streams of real compressors are always understood.
fn real(level: u8, raw: &[u8]) {
    let level = 1 + level % 9;
    let mut by_libdeflate =
        Compressor::new(CompressionLvl::new(i32::from(level)).expect("a level"));
    let mut first = vec![0; by_libdeflate.deflate_compress_bound(raw.len())];
    let len = by_libdeflate.deflate_compress(raw, &mut first).expect("room");
    first.truncate(len);
    let mut second = Vec::with_capacity(raw.len() + raw.len() / 1000 + 1000);
    let status = Compress::new(Compression::new(u32::from(level)), false).compress_vec(
        raw,
        &mut second,
        FlushCompress::Finish,
    );
    assert_eq!(status.expect("compresses"), Status::StreamEnd);
    let mut joiner = Joiner::new();
    assert!(joiner.open_end(&mut first), "libdeflate's stream");
    assert!(joiner.open_end(&mut second), "zlib-rs's stream");
    let mut third = Vec::new();
    stored(raw, &mut third);
    let mut packer = Packer::new(Effort::Level(level)).expect("a level");
    let fourth = if raw.is_empty() { &[][..] } else { packer.pack(0, raw) };
    let joined = [&first[..], &second, &third, fourth, &END].concat();
    let unpacked = inflate(&joined).expect("one stream");
    assert!(unpacked == raw.repeat(4), "the pieces joined are not the data");
}

fuzz_target!(|input: &[u8]| {
    match input {
        [kind, rest @ ..] if kind % 2 == 0 => hostile(rest),
        [_, level, rest @ ..] => real(*level, &expand(rest)),
        _ => {}
    }
});
