//! A file system that is only looked at.

use std::sync::Arc;

use fs_ext4::Filesystem;

use super::device::{Clock, Device};
use crate::error::Result;
use crate::guest::block::Block;

/// What the writer knows of a file system, on a device that cannot be written.
pub struct View {
    /// The file system.
    pub fs: Filesystem,
    device: Arc<Device>,
}

impl View {
    /// A view of the bytes as they are now.
    ///
    /// # Errors
    /// Those of reading them, and of what they are.
    pub fn of(block: &Arc<dyn Block>) -> Result<Self> {
        let device = Arc::new(Device::read_only(block.clone()));
        let clock = Arc::new(Clock::new(0, [0; 16]));
        let fs = Filesystem::mount_with_runtime(device.clone(), clock);
        let fs = fs.map_err(|error| device.error(error))?;
        Ok(View { fs, device })
    }

    /// An answer of the file system, its errors in our words; those of the device come through.
    pub fn ask<T>(&self, answer: fs_ext4::Result<T>) -> Result<T> {
        answer.map_err(|error| self.device.error(error))
    }

    /// The bytes of a block.
    pub fn block(&self, number: u64) -> Result<Vec<u8>> {
        self.ask(self.fs.read_block(number))
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u64 {
        u64::from(self.fs.sb.block_size())
    }

    /// The first block of a group, and how many it has.
    pub fn group(&self, number: u64) -> (u64, u64) {
        let (sb, per_group) = (&self.fs.sb, u64::from(self.fs.sb.blocks_per_group));
        let first = u64::from(sb.first_data_block).saturating_add(number.saturating_mul(per_group));
        (first, sb.blocks_count.saturating_sub(first).min(per_group))
    }
}
