//! Any virtual disk as extents.
//!
//! ```text
//! SourceFile  one file, read by position            source.rs
//!    │
//! Layer       one file of a format as extents       vdi/, raw.rs      data, zero, absent
//!    │
//! Chain       a leaf over its parents               chain.rs          data, zero
//!    │
//! OpenDisk    what the rest of the program sees     this file
//!    │
//! Edited      with the changes of guest edits       overlay.rs        data, zero
//! ```
//!
//! A disk answers "what is here?" before "give me the bytes", through `&self`, so any number of
//! threads share one without a lock.

pub mod chain;
pub mod detect;
mod open;
pub mod overlay;
pub mod raw;
pub mod source;
pub mod vdi;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::error::{Error, Kind, Result};
pub use detect::Format;
pub use open::{MAX_ALIGN, open};
use overlay::Edited;
use source::SourceFile;

/// Bytes of a sector, the unit in which every guest counts.
pub const SECTOR: u64 = 512;

/// What a place of a disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Bytes that have to be read.
    Data,
    /// Zeros, known without reading.
    Zero,
    /// Not in this layer: the parent's bytes, or zeros if there is no parent.
    Absent,
}

/// A run of bytes with the same kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Length in bytes, never 0.
    pub len: u64,
    /// What is there.
    pub content: Content,
}

/// A disk, or one layer of one.
pub trait Disk: Send + Sync {
    /// Size in bytes as the guest sees it.
    fn size(&self) -> u64;

    /// What is at `offset`, and for how long.
    ///
    /// The run is at least one and at most `max` bytes long and ends at the disk's end at the
    /// latest; the next run may have the same content. `offset` must be below [`Disk::size`] and
    /// `max` above 0. Only a layer answers [`Content::Absent`]; a whole disk never does.
    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent>;

    /// Fills `buf` from byte `offset`. Absent bytes read as zeros. All of `buf` must lie inside
    /// the disk; there are no short reads.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;
}

/// How to open a disk.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The format, if it is not to be detected.
    pub format: Option<Format>,
    /// Files or folders in which parents are looked for before anywhere else.
    pub parents: Vec<PathBuf>,
    /// The state in this file is meant, even if children of it lie beside it.
    pub this_layer: bool,
    /// Go on past damage and list it.
    pub salvage: bool,
    /// Pad the disk with zeros to a multiple of this many bytes.
    pub align: Option<u64>,
}

/// Something worth telling that did not stop the work.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Warning {
    /// A stable name.
    pub code: String,
    /// For a person.
    pub message: String,
}

impl Warning {
    /// A warning.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Warning { code: code.to_owned(), message: message.into() }
    }
}

/// A range of the guest's disk whose bytes are not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Damage {
    /// First byte, counted on the guest's disk.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// The file that is damaged, and how.
    pub reason: String,
}

impl Damage {
    /// Takes `next` in, if it begins in or right behind this range and has the same reason.
    fn absorb(&mut self, next: &Damage) -> bool {
        let end = self.offset.saturating_add(self.len);
        let continues = self.reason == next.reason && (self.offset..=end).contains(&next.offset);
        if continues {
            self.len = end.max(next.offset.saturating_add(next.len)) - self.offset;
        }
        continues
    }
}

/// The list of damage that `--salvage` keeps. Shared by the layers of one disk.
#[derive(Debug, Default)]
pub struct DamageList(Mutex<Vec<Damage>>);

/// More single ranges than this are not a disk that can be salvaged, but a forged one.
const MAX_DAMAGED_RANGES: usize = 100_000;
/// One range of a parent that a snapshot has cut into more parts than this is listed as one range
/// again: a changed parent under a well-used snapshot is no forgery.
const MAX_PARTS: usize = 10_000;

impl DamageList {
    /// Adds a range; one that continues the last one for the same reason is merged with it.
    ///
    /// # Errors
    /// `Damaged`, when there are more separate ranges than a real disk ever has.
    pub fn add(&self, damage: Damage) -> Result<()> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.last_mut().is_some_and(|last| last.absorb(&damage)) {
            return Ok(());
        }
        if list.len() >= MAX_DAMAGED_RANGES {
            return Err(Error::new(
                Kind::Damaged,
                "too-much-damage",
                format!("more than {MAX_DAMAGED_RANGES} separate damaged ranges"),
            )
            .remedy("this is not a disk any more; look for a backup"));
        }
        list.push(damage);
        Ok(())
    }

    /// Adds what of `damage`, found in a layer, shows through the layers `above` it.
    ///
    /// # Errors
    /// Those of [`DamageList::add`], and of reading the maps above.
    pub fn add_visible(&self, damage: &Damage, above: &[Box<dyn Disk>]) -> Result<()> {
        let parts = chain::visible(above, damage.offset, damage.len)?;
        let (first, last) = (parts.first().copied(), parts.last().copied());
        if let (Some((start, _)), Some((offset, len))) = (first, last)
            && parts.len() > MAX_PARTS
        {
            let len = offset + len - start;
            return self.add(Damage { offset: start, len, reason: damage.reason.clone() });
        }
        parts.into_iter().try_for_each(|(offset, len)| {
            self.add(Damage { offset, len, reason: damage.reason.clone() })
        })
    }

    /// After a failed read of `file`: keeps what can be read sector by sector, and lists the rest.
    /// `at` is the offset on the guest's disk, `address` the one in the file, if there is one.
    ///
    /// # Errors
    /// Those of [`DamageList::add`].
    pub fn read_remains(
        &self,
        file: &SourceFile,
        buf: &mut [u8],
        at: u64,
        address: Option<u64>,
        error: &Error,
    ) -> Result<()> {
        let reason = format!("{}: {}", file.path().display(), error.message());
        let mut offset = 0;
        // A bad place is listed as one range, however many sectors it has.
        let mut bad: Option<Damage> = None;
        for sector in buf.chunks_mut(512) {
            let len = sector.len() as u64;
            let place = address.and_then(|a| a.checked_add(offset));
            let readable = place.is_some_and(|p| file.read_exact_at(sector, p).is_ok());
            if !readable {
                sector.fill(0);
                // What lies beyond the file's end was listed when the map was checked.
                if place.is_some_and(|p| p.saturating_add(len) <= file.len()) {
                    let next = Damage { offset: at + offset, len, reason: reason.clone() };
                    if !bad.as_mut().is_some_and(|bad| bad.absorb(&next)) {
                        bad.replace(next).map_or(Ok(()), |bad| self.add(bad))?;
                    }
                }
            }
            offset += len;
        }
        bad.map_or(Ok(()), |bad| self.add(bad))
    }

    /// What was found so far, by offset. A place that was read twice is listed once.
    pub fn list(&self) -> Vec<Damage> {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        list.sort_by(|a, b| (&a.reason, a.offset).cmp(&(&b.reason, b.offset)));
        list.dedup_by(|next, last| last.absorb(next));
        list.sort();
        list
    }
}

/// One file of a disk, as the record names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The file.
    pub path: PathBuf,
    /// Its identifier, for formats that have one.
    pub uuid: Option<String>,
}

/// An opened disk: the bytes, and everything there is to say about where they come from.
pub struct OpenDisk {
    /// The format of the file that was named.
    pub format: Format,
    /// The files, leaf first.
    pub layers: Vec<LayerInfo>,
    /// Findings that did not stop it.
    pub warnings: Vec<Warning>,
    /// Findings about the files around it. They say nothing of the disk's bytes, so they are not
    /// for the record.
    pub surroundings: Vec<Warning>,
    disk: Arc<dyn Disk>,
    files: Vec<Arc<SourceFile>>,
    /// Digests of the block maps, part of the fingerprint, in the order of the files.
    map_digests: Vec<String>,
    damage: Arc<DamageList>,
}

impl Disk for OpenDisk {
    fn size(&self) -> u64 {
        self.disk.size()
    }
    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        self.disk.extent_at(offset, max)
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.disk.read_at(buf, offset)
    }
}

/// How much of both ends of a source file goes into its fingerprint.
const FINGERPRINT_ENDS: u64 = 1 << 20;

impl OpenDisk {
    /// The bytes alone.
    pub fn bytes(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    /// Puts changes on the disk: from now on it reads as `edited`, which lies on [`OpenDisk::bytes`].
    pub fn put_on(&mut self, edited: Edited) {
        self.disk = Arc::new(edited);
    }

    /// One line for each source file that changes when the file does: where it is stored, its
    /// size and times, and SHA-256 of its map and of its first and last MiB. Reads at most 2 MiB
    /// of each. The device's number is left out: network and device-mapper file systems get another
    /// one at each boot, and power loss is what the journal is for.
    pub fn fingerprint(&self) -> Result<Vec<String>> {
        let ends = self.files.iter().map(|file| {
            let len = file.len().min(FINGERPRINT_ENDS);
            let mut buf = vec![0; usize::try_from(len).unwrap_or(0)];
            let mut digest = Sha256::new();
            for offset in [0, file.len() - len] {
                file.read_exact_at(&mut buf, offset)?;
                digest.update(&buf);
            }
            Ok(hex(&digest.finalize()))
        });
        let lines = self.files.iter().zip(ends).enumerate().map(|(i, (file, ends))| {
            let stamp = file.stamp();
            let map = self.map_digests.get(i).map_or("none", String::as_str);
            Ok(format!(
                "ino {} len {} mtime {}.{:09} ctime {}.{:09} map {map} ends {}",
                stamp.ino,
                stamp.len,
                stamp.mtime.0,
                stamp.mtime.1,
                stamp.ctime.0,
                stamp.ctime.1,
                ends?
            ))
        });
        lines.collect()
    }

    /// Whether all source files are as they were when they were opened.
    ///
    /// # Errors
    /// `Changed`, naming the file and what differs.
    pub fn check_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(|file| file.check_unchanged())
    }

    /// The damage that `--salvage` went past so far.
    pub fn damage(&self) -> Vec<Damage> {
        self.damage.list()
    }

    /// Adds damage that an earlier, interrupted run found.
    pub fn remember_damage(&self, earlier: &[Damage]) -> Result<()> {
        let known = self.damage.list();
        earlier.iter().filter(|d| !known.contains(d)).try_for_each(|d| self.damage.add(d.clone()))
    }

    /// Where the source files are, to keep the output from replacing one of them.
    pub fn is_source(&self, dev: u64, ino: u64) -> bool {
        self.files.iter().any(|file| (file.stamp().dev, file.stamp().ino) == (dev, ino))
    }

    /// How much of the disk has to be read, and how much is known to be zero.
    pub fn usage(&self) -> Result<Usage> {
        let mut usage = Usage::default();
        let mut offset = 0;
        while offset < self.size() {
            let extent = self.extent_at(offset, u64::MAX)?;
            match extent.content {
                Content::Data => usage.data += extent.len,
                Content::Zero | Content::Absent => usage.empty += extent.len,
            }
            offset += extent.len;
        }
        Ok(usage)
    }
}

/// How a disk's bytes divide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that have to be read.
    pub data: u64,
    /// Bytes that are known to be zero.
    pub empty: u64,
}
