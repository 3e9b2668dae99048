//! Says what the guest in a disk is, and what would be changed in it:
//! `cargo run --example guest -- testdata/mydisk.vdi`

use std::io::{self, Write};

use stratus::disk::{self, OpenOptions};
use stratus::guest::prepare::{Wanted, prepare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: guest DISK")?;
    let disk = disk::open(path.as_ref(), &OpenOptions::default())?;
    let (edited, report) = prepare(&disk.bytes(), &Wanted::default(), || None)?;
    let mut out = io::stdout().lock();
    writeln!(out, "{:#?}", report.facts)?;
    for change in &report.changes {
        writeln!(out, "{}: {}: {}", change.name, change.path, change.action)?;
    }
    if let Some(edited) = edited {
        let (written, zeroed) = edited.changed_bytes();
        writeln!(out, "{written} bytes written and {zeroed} made empty, in memory only")?;
    }
    Ok(())
}
