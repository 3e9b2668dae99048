//! The block map, read by pages through a cache that all layers of a chain share.
//!
//! A map has four bytes a block: 8 MiB for 2 TiB at the usual 1 MiB a block, but 64 MiB at
//! 128 KiB, and a chain has one per layer. So no map is held whole; what the reading threads are
//! at is a few pages of each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::header::Header;
use crate::disk::source::SourceFile;
use crate::error::Result;

/// Entries of a page: 16 KiB, 4 GiB of disk at 1 MiB a block.
const PAGE: u32 = 4096;
/// Pages that one chain may hold: 16 MiB. A chain of 50 layers read by 4 threads needs some 250.
const BUDGET: usize = 1024;

type Page = Arc<[u32]>;

/// The pages of all maps of one chain.
#[derive(Debug, Default)]
pub struct PageCache(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    /// By layer and page number; the value remembers when it was last used.
    held: HashMap<(usize, u32), (Page, u64)>,
    clock: u64,
}

impl PageCache {
    fn get(&self, key: (usize, u32), load: impl FnOnce() -> Result<Page>) -> Result<Page> {
        {
            let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pages.clock += 1;
            let now = pages.clock;
            if let Some((page, used)) = pages.held.get_mut(&key) {
                *used = now;
                return Ok(page.clone());
            }
        }
        // Read without the lock: two threads may load one page, which costs 16 KiB once.
        let page = load()?;
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.held.len() >= BUDGET
            && let Some(&oldest) = pages.held.iter().min_by_key(|(_, (_, used))| *used).map(|p| p.0)
        {
            pages.held.remove(&oldest);
        }
        let now = pages.clock;
        pages.held.insert(key, (page.clone(), now));
        Ok(page)
    }
}

/// The map of one layer.
#[derive(Debug)]
pub struct BlockMap {
    file: Arc<SourceFile>,
    offset: u64,
    blocks: u32,
    layer: usize,
    cache: Arc<PageCache>,
}

impl BlockMap {
    /// The map of `file`, which is layer number `layer` of the chain that owns `cache`.
    pub fn new(
        file: Arc<SourceFile>,
        header: &Header,
        layer: usize,
        cache: Arc<PageCache>,
    ) -> Self {
        BlockMap { file, offset: header.map_offset, blocks: header.blocks, layer, cache }
    }

    /// Byte offset of a block's entry in the file, for error messages.
    pub fn entry_offset(&self, block: u32) -> u64 {
        self.offset + 4 * u64::from(block)
    }

    /// The entries from `block` to the end of its page. `block` must be below the map's length.
    pub fn entries_from(&self, block: u32) -> Result<Entries> {
        let number = block / PAGE;
        let page = self.cache.get((self.layer, number), || self.load(number))?;
        Ok(Entries { page, from: (block % PAGE) as usize })
    }

    fn load(&self, number: u32) -> Result<Page> {
        let first = number * PAGE;
        let count = (self.blocks - first).min(PAGE) as usize;
        let mut bytes = vec![0; 4 * count];
        self.file.read_exact_at(&mut bytes, self.entry_offset(first))?;
        Ok(bytes.as_chunks().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect())
    }

    /// Hands all entries to `visit`, in order, page by page, past the cache.
    pub fn scan(&self, mut visit: impl FnMut(u32, &[u32]) -> Result<()>) -> Result<()> {
        for number in 0..self.blocks.div_ceil(PAGE) {
            visit(number * PAGE, &self.load(number)?)?;
        }
        Ok(())
    }
}

/// A piece of a map.
pub struct Entries {
    page: Page,
    from: usize,
}

impl std::ops::Deref for Entries {
    type Target = [u32];
    fn deref(&self) -> &[u32] {
        self.page.get(self.from..).unwrap_or_default()
    }
}
