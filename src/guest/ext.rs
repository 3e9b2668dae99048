//! ext2, ext3 and ext4: read and changed through the overlay.
//!
//! ```text
//! recover  superblock checked, journal replayed, counts corrected, bitmaps checked
//! open     the writer on it, with a clock that stands still              device.rs
//! edit     files.rs, on the writer crate `rust-fs-ext4`
//! finish   what was freed is zeroed (scrub.rs), then everything that was written is read back
//!          with `ext4-view`, which shares no code with the writer (check.rs)
//! ```

mod bitmaps;
mod check;
mod device;
mod directory;
mod files;
mod free;
mod label;
mod metadata;
mod names;
mod recover;
mod scrub;
mod superblock;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use fs_ext4::Filesystem;

use super::block::Block;
use crate::error::{Error, Kind, Result};
use check::Expected;
use device::{Clock, Device};
pub use free::{free_ranges, zero_free};
pub use recover::recover;
pub use superblock::{Superblock, disable_checks};

/// An ext file system that is being edited.
pub struct Ext {
    fs: Filesystem,
    device: Arc<Device>,
    clock: Arc<Clock>,
    /// The same bytes as they were before the first edit.
    before: Arc<dyn Block>,
    /// Directories from which names were removed.
    thinned: BTreeSet<u32>,
    /// What has to be found when it is read back.
    expected: BTreeMap<PathBuf, Expected>,
}

/// An error of the file system's structure.
fn damaged(message: &str) -> Error {
    Error::new(Kind::Damaged, "guest-fs-damaged", message)
        .remedy("run e2fsck in the machine, then convert again; or convert it with --no-context")
}

impl Ext {
    /// Opens a file system that [`recover()`] has been through. `before` shows the same bytes, and
    /// will show them unchanged; `now` (seconds since 1970) is the time that edits carry, by
    /// default the time of the file system's last write.
    ///
    /// # Errors
    /// What is in the way of editing, by name.
    pub fn open(block: Arc<dyn Block>, before: Arc<dyn Block>, now: Option<i64>) -> Result<Self> {
        let sb = Superblock::read(block.as_ref())?;
        sb.check_editable()?;
        let device = Arc::new(Device::new(block));
        let now = now.unwrap_or_else(|| i64::from(sb.written()));
        let clock = Arc::new(Clock::new(now, sb.uuid()));
        let fs = Filesystem::mount_with_runtime(device.clone(), clock.clone())
            .map_err(|error| device.error(error))?;
        Ok(Ext { fs, device, clock, before, thinned: BTreeSet::new(), expected: BTreeMap::new() })
    }
}
