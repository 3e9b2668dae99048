//! The names in a cpio archive, as the kernel unpacks it.
//!
//! Linux, Documentation/driver-api/early-userspace/buffer-format.rst: the "new ASCII" form with
//! magic `070701`, or `070702` with checksums. A header of 110 bytes, thirteen numbers of eight hex
//! digits, then the name and the content, each padded to four bytes.

use std::io::{self, BufRead, ErrorKind, Read};

/// Bytes of a header.
const HEADER: usize = 110;
/// The name of the entry behind the last one.
const TRAILER: &[u8] = b"TRAILER!!!";
/// Bytes of a name with its NUL (Linux: `PATH_MAX`). The kernel leaves out what is longer; no
/// archive that a tool made has it.
const MAX_NAME: u32 = 4096;

/// Type bits of a mode, and those of a regular file.
const TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// Reads one archive up to its trailer, or to the end of `from`, and calls `each` with the name of
/// every regular file.
pub(super) fn read(from: &mut dyn BufRead, each: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let mut name = Vec::new();
    while !from.fill_buf()?.is_empty() {
        let entry = Entry::read(from)?;
        name.clear();
        name.resize(usize::try_from(entry.name).unwrap_or(0), 0);
        from.read_exact(&mut name)?;
        // The name begins two bytes behind a multiple of four.
        skip(from, u64::from((entry.name + 2).wrapping_neg() % 4))?;
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        let name = &name[..end];
        if name == TRAILER {
            return Ok(());
        }
        if entry.mode & TYPE == REGULAR {
            each(name);
        }
        skip(from, u64::from(entry.size).next_multiple_of(4))?;
    }
    Ok(())
}

/// The numbers of a header that matter here.
struct Entry {
    mode: u32,
    size: u32,
    /// Length of the name with its NUL, 1 to [`MAX_NAME`].
    name: u32,
}

impl Entry {
    fn read(from: &mut dyn BufRead) -> io::Result<Self> {
        let mut header = [0; HEADER];
        from.read_exact(&mut header)?;
        if !matches!(&header[..6], b"070701" | b"070702") {
            return Err(io::Error::new(ErrorKind::InvalidData, "no cpio header"));
        }
        let entry = Entry {
            mode: number(&header, 1)?,
            size: number(&header, 6)?,
            name: number(&header, 11)?,
        };
        if entry.name == 0 || entry.name > MAX_NAME {
            return Err(io::Error::new(ErrorKind::InvalidData, "cpio name too long"));
        }
        Ok(entry)
    }
}

/// Number `index` of a header, from 0: inode, mode, uid, gid, links, mtime, size, four device
/// numbers, length of the name, checksum.
fn number(header: &[u8; HEADER], index: usize) -> io::Result<u32> {
    let digits = header.get(6 + 8 * index..14 + 8 * index).unwrap_or_default();
    let digits = str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
    digits
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "no number in a cpio header"))
}

/// Passes over `count` bytes, which must be there.
fn skip(from: &mut dyn BufRead, count: u64) -> io::Result<()> {
    match io::copy(&mut from.take(count), &mut io::sink())? {
        done if done == count => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}
