//! Converts a disk with the library and prints its identifier for a StratusLab marketplace, the
//! SHA-1: `cargo run --example convert -- testdata/mydisk.vdi /tmp/mydisk.img.gz`

use std::io::{self, Write};

use stratus::pipeline::{Control, Job, convert};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(input), Some(output)) = (args.next(), args.next()) else {
        return Err("usage: convert DISK IMAGE.img.gz".into());
    };
    let outcome = convert(&Job::new(input, output), &Control::default())?;
    writeln!(io::stdout(), "{:?}: {}", outcome.status, outcome.record.raw.digests["sha1"])?;
    Ok(())
}
