//! What stands between the ext4 writer and the overlay: the device it sees, its clock, its errors.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fs_ext4::block_io::BlockDevice;
use fs_ext4::runtime::Runtime;
use sha2::{Digest, Sha256};

use crate::error::{Error, Kind, Result};
use crate::guest::block::Block;

/// A block range as the writer's device.
pub struct Device {
    block: Arc<dyn Block>,
    writable: bool,
    /// The first error of the range itself. The writer turns it into one of its own, which says
    /// less.
    trouble: Mutex<Option<Error>>,
}

impl Device {
    /// A device that can be written.
    pub fn new(block: Arc<dyn Block>) -> Self {
        Device { block, writable: true, trouble: Mutex::new(None) }
    }

    /// A device that refuses to be written.
    pub fn read_only(block: Arc<dyn Block>) -> Self {
        Device { writable: false, ..Device::new(block) }
    }

    /// The bytes.
    pub fn block(&self) -> &Arc<dyn Block> {
        &self.block
    }

    fn noted<T>(&self, result: Result<T>) -> fs_ext4::Result<T> {
        result.map_err(|error| {
            let cause = std::io::Error::other(error.to_string());
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            cause.into()
        })
    }

    /// What the writer's error means here.
    pub fn error(&self, error: fs_ext4::Error) -> Error {
        if let Some(trouble) = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return trouble;
        }
        use fs_ext4::Error as Cause;
        let (kind, code, remedy) = match error {
            _ if is_full(&error) => (
                Kind::Refused,
                "guest-full",
                "delete something in the guest, or make its disk larger; or convert it as it is \
                 with --no-context",
            ),
            Cause::UnsupportedIncompat(_)
            | Cause::UnsupportedRoCompat(_)
            | Cause::Unsupported(_) => (
                Kind::Unsupported,
                "guest-fs-unsupported",
                "prepare this guest by hand, and convert it as it is with --no-context",
            ),
            _ => (
                Kind::Damaged,
                "guest-fs-damaged",
                "run e2fsck in the machine, then convert again; or convert the disk as it is with \
                 --no-context",
            ),
        };
        let message = match code {
            "guest-full" => "its file system is full".to_owned(),
            _ => error.to_string(),
        };
        Error::new(kind, code, message).remedy(remedy)
    }
}

/// Whether there is no room: the writer (rust-fs-ext4 0.8.0, `alloc.rs`) says so by an error of its
/// own for attributes and directories, and for blocks and inodes by these words.
pub fn is_full(error: &fs_ext4::Error) -> bool {
    use fs_ext4::Error as Cause;
    match error {
        Cause::NoSpaceLeftOnDevice => true,
        Cause::Corrupt(what) => {
            ["no group has a contiguous free run of this size", "no group has a free inode"]
                .contains(what)
        }
        _ => false,
    }
}

impl BlockDevice for Device {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> fs_ext4::Result<()> {
        self.noted(self.block.read_at(buf, offset))
    }
    fn size_bytes(&self) -> u64 {
        self.block.size()
    }
    fn write_at(&self, offset: u64, buf: &[u8]) -> fs_ext4::Result<()> {
        if !self.writable {
            return Err(fs_ext4::Error::ReadOnly);
        }
        self.noted(self.block.write_at(buf, offset))
    }
    fn is_writable(&self) -> bool {
        self.writable
    }
}

/// A clock that stands still, and generation numbers that follow from the file system and the path:
/// the writer's own would put the time and the process's number into the image.
pub struct Clock {
    now: i64,
    uuid: [u8; 16],
    generation: AtomicU32,
}

impl Clock {
    /// Of the file system `uuid`, at `now` seconds since 1970.
    pub fn new(now: i64, uuid: [u8; 16]) -> Self {
        Clock { now, uuid, generation: AtomicU32::new(0) }
    }

    /// What comes next is about this path.
    pub fn about(&self, path: &std::path::Path) {
        let mut digest = Sha256::new();
        digest.update(self.uuid);
        digest.update(path.as_os_str().as_encoded_bytes());
        let bytes: [u8; 32] = digest.finalize().into();
        let seed = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        self.generation.store(seed, Ordering::Relaxed);
    }
}

impl Runtime for Clock {
    fn now_unix_seconds(&self) -> i64 {
        self.now
    }
    fn next_inode_generation(&self) -> u32 {
        self.generation.fetch_add(1, Ordering::Relaxed)
    }
}
