//! `stratus-publish --marketplace mydisk.vdi`: an image goes to a repository, its signed metadata to
//! a marketplace.

use std::process::ExitCode;

fn main() -> ExitCode {
    stratus::cli::publish::main()
}
