//! The files of an initramfs.
//!
//! ```text
//! image  = part *
//! part   = zeros | archive | compressed ( ( zeros | archive ) * )
//! ```
//!
//! As the kernel reads it (init/initramfs.c, `unpack_to_rootfs`): archives one behind the other,
//! each plain or in a compressed stream. The usual image is a plain archive with microcode and a
//! compressed one behind it. Nothing is unpacked anywhere: the streams are read once, for names.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use ruzstd::decoding::StreamingDecoder;

use super::cpio;

/// Compressed streams in one image. Distributions make one, with additions a few; each costs
/// memory that has to be cleared.
const MAX_STREAMS: usize = 16;

/// KiB of memory that unpacking may take: the window of `xz -9` and of `zstd --ultra` is half of it.
const MAX_MEMORY_KIB: u32 = 128 << 10;

/// How a part is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A cpio archive as it is.
    Plain,
    Gzip,
    Xz,
    Zstd,
    /// The LZ4 form that the kernel reads, not that of current tools.
    Lz4Legacy,
    Lzma,
}

impl Form {
    /// By the magic numbers of lib/decompress.c of Linux. bzip2 and LZO, which no distribution
    /// makes its images with, are not read.
    fn of(part: &[u8]) -> Option<Self> {
        let forms: [(&[u8], Form); 7] = [
            (b"07070", Form::Plain),
            (b"\x1f\x8b", Form::Gzip),
            (b"\xfd7zXZ\0", Form::Xz),
            (b"\x28\xb5\x2f\xfd", Form::Zstd),
            (b"\x02\x21\x4c\x18", Form::Lz4Legacy),
            (b"\x5d\0\0", Form::Lzma),
            (b"\x1f\x9e", Form::Gzip),
        ];
        forms.iter().find(|(magic, _)| part.starts_with(magic)).map(|(_, form)| *form)
    }
}

/// Calls `each` with the name of every regular file in the image, as it stands there.
///
/// # Errors
/// If a part is damaged, ends early, is compressed in a way that is not read, or unpacks to more
/// than `budget`, which goes down by what was unpacked. Names before that place were reported.
pub(super) fn read(image: &[u8], budget: &mut u64, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut rest = image;
    let mut streams = 0..MAX_STREAMS;
    loop {
        skip_zeros(&mut rest)?;
        if rest.is_empty() {
            return Ok(());
        }
        // What follows takes at least its magic number from `rest`.
        match Form::of(rest) {
            Some(Form::Plain) => cpio::read(&mut rest, each)?,
            Some(form) if streams.next().is_some() => stream(form, &mut rest, budget, each)?,
            _ => {
                return Err(io::Error::new(ErrorKind::Unsupported, "no archive, or too many"));
            }
        }
    }
}

/// Reads the archives of one stream, to its end.
fn archives(from: &mut dyn BufRead, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    loop {
        skip_zeros(from)?;
        if from.fill_buf()?.is_empty() {
            return Ok(());
        }
        cpio::read(from, each)?;
    }
}

fn skip_zeros(from: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let ready = from.fill_buf()?;
        let zeros = ready.iter().position(|byte| *byte != 0).unwrap_or(ready.len());
        let all = zeros == ready.len() && zeros > 0;
        from.consume(zeros);
        if !all {
            return Ok(());
        }
    }
}

/// Reads one compressed stream and leaves `rest` behind it.
fn stream(
    form: Form,
    rest: &mut &[u8],
    budget: &mut u64,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let made = Cell::new(0);
    let ahead = if form == Form::Xz { MAX_AHEAD } else { u64::MAX };
    let whole = *rest;
    let mut packed = Packed { rest: whole, taken: 0, made: &made, ahead };
    let mut read = |plain: &mut dyn Read| {
        let limited = Limited { from: plain, budget, made: &made };
        archives(&mut BufReader::with_capacity(1 << 16, limited), each)
    };
    match form {
        Form::Plain => read(&mut packed)?,
        Form::Gzip => read(&mut flate2::bufread::GzDecoder::new(&mut packed))?,
        Form::Xz => {
            let limit = MAX_MEMORY_KIB;
            read(&mut lzma_rust2::XzReader::new_mem_limit(&mut packed, false, limit))?;
        }
        Form::Zstd => {
            let window = u64::from(MAX_MEMORY_KIB) << 10;
            let plain = StreamingDecoder::new_with_max_window_size(&mut packed, window);
            read(&mut plain.map_err(io::Error::other)?)?;
        }
        Form::Lz4Legacy => {
            read(&mut Lz4Legacy { rest: &mut packed.rest, block: Vec::new(), at: 0 })?;
        }
        Form::Lzma => {
            let limit = MAX_MEMORY_KIB;
            let mut plain = lzma_rust2::LzmaReader::new_mem_limit(&mut packed, limit, None)?;
            read(&mut plain)?;
            // It reads ahead of the stream's end.
            let (behind, ahead) = plain.into_parts();
            let unread = behind.rest.len() + ahead.len();
            packed.rest = whole.get(whole.len().saturating_sub(unread)..).unwrap_or_default();
        }
    }
    *rest = packed.rest;
    Ok(())
}

/// Bytes that a stream of xz may be longer than what it unpacks to and an eighth of that: a longer
/// one consists of nearly empty blocks. Each gets a window of its own, which takes more time than
/// its bytes are worth: minutes for an image of them. The other forms have one window for all.
const MAX_AHEAD: u64 = 1 << 20;

/// What a decoder takes from.
struct Packed<'i, 'm> {
    rest: &'i [u8],
    taken: u64,
    /// Bytes that were unpacked from it.
    made: &'m Cell<u64>,
    /// How far `taken` may be beyond `made` and an eighth of it.
    ahead: u64,
}

impl BufRead for Packed<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let made = self.made.get();
        if self.taken > self.ahead.saturating_add(made + made / 8) {
            return Err(io::Error::new(ErrorKind::InvalidData, "unpacks to too little"));
        }
        // So much at once that the check above is made.
        Ok(&self.rest[..self.rest.len().min(1 << 16)])
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.rest = self.rest.get(count..).unwrap_or_default();
    }
}

impl Read for Packed<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let done = self.fill_buf()?.read(buf)?;
        self.consume(done);
        Ok(done)
    }
}

/// Ends with an error when the budget is used up.
struct Limited<'a, R> {
    from: R,
    budget: &'a mut u64,
    made: &'a Cell<u64>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let done = self.from.read(buf)?;
        self.made.set(self.made.get() + done as u64);
        match self.budget.checked_sub(done as u64) {
            Some(left) => *self.budget = left,
            None => return Err(io::Error::new(ErrorKind::FileTooLarge, "unpacks to too much")),
        }
        Ok(done)
    }
}

/// LZ4 as `lz4 -l` writes it and the kernel reads it (lib/decompress_unlz4.c): the magic number,
/// then blocks that unpack to at most 8 MiB, each behind its length. Nothing marks the end.
struct Lz4Legacy<'a, 'i> {
    rest: &'a mut &'i [u8],
    block: Vec<u8>,
    at: usize,
}

impl Lz4Legacy<'_, '_> {
    const MAGIC: u32 = 0x184c_2102;
    const BLOCK: usize = 8 << 20;
    /// `LZ4_COMPRESSBOUND`: what 8 MiB become at worst.
    const WORST: usize = Self::BLOCK + Self::BLOCK / 255 + 16;

    /// The next block. False if there is none.
    fn next(&mut self) -> io::Result<bool> {
        let damaged = |what| io::Error::new(ErrorKind::InvalidData, what);
        let len = loop {
            let Some((len, behind)) = self.rest.split_first_chunk() else {
                // Less than a length: padding.
                *self.rest = &[];
                return Ok(false);
            };
            let len = u32::from_le_bytes(*len);
            if len == 0 {
                return Ok(false);
            }
            *self.rest = behind;
            // The first magic number, or that of a stream put behind.
            if len != Self::MAGIC {
                break usize::try_from(len).unwrap_or(usize::MAX);
            }
        };
        if len > Self::WORST {
            return Err(damaged("lz4 block too long"));
        }
        let (packed, behind) =
            self.rest.split_at_checked(len).ok_or(io::Error::from(ErrorKind::UnexpectedEof))?;
        *self.rest = behind;
        self.block.resize(Self::BLOCK, 0);
        let len = lz4_flex::block::decompress_into(packed, &mut self.block);
        self.block.truncate(len.map_err(|_| damaged("damaged lz4 block"))?);
        self.at = 0;
        Ok(true)
    }
}

impl Read for Lz4Legacy<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if !self.next()? {
                return Ok(0);
            }
        }
        let ready = self.block.get(self.at..).unwrap_or_default();
        let done = ready.len().min(buf.len());
        buf[..done].copy_from_slice(&ready[..done]);
        self.at += done;
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
