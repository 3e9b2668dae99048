//! `stratus-convert mydisk.vdi`: a VirtualBox disk becomes a compressed raw image.

use std::process::ExitCode;

fn main() -> ExitCode {
    stratus::cli::convert::main()
}
