//! Prints what is where on a disk: `cargo run --example extents -- testdata/mydisk.vdi`

use std::io::{self, Write};

use stratus::disk::{self, Disk};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: extents DISK")?;
    let disk = disk::open(path.as_ref(), &disk::OpenOptions::default())?;
    let mut out = io::stdout().lock();
    let mut offset = 0;
    while offset < disk.size() {
        let extent = disk.extent_at(offset, u64::MAX)?;
        writeln!(out, "{offset:>14} {:>14} {:?}", extent.len, extent.content)?;
        offset += extent.len;
    }
    Ok(())
}
