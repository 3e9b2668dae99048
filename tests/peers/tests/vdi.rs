//! The crate `vdi` 0.2.0 reads images of QEMU, and stops early in images of VirtualBox.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use stratus::disk::{self, Disk};

/// Unpacks `testdata/disks/NAME.gz` into a file of its own.
fn image(name: &str) -> (std::path::PathBuf, Vec<u8>) {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/disks").join(name);
    let output = Command::new("gzip")
        .arg("-dc")
        .arg(packed.with_extension("vdi.gz"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success() && !output.stdout.is_empty());
    let path = std::env::temp_dir().join(format!("stratus-peer-{}-{name}", std::process::id()));
    File::create(&path).unwrap().write_all(&output.stdout).unwrap();
    let disk = disk::open(&path, &disk::OpenOptions::default()).unwrap();
    let mut ours = vec![0; disk.size() as usize];
    disk.read_at(&mut ours, 0).unwrap();
    (path, ours)
}

/// All that the peer gives before it says that the disk is over.
fn peer(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut disk = vdi::VdiDisk::open(Box::new(file)).map_err(std::io::Error::other)?;
    let mut bytes = Vec::new();
    disk.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn the_peer_reads_a_qemu_image_as_we_do_and_goes_on_behind_its_end() {
    let (path, ours) = image("qemu-dynamic.vdi");
    let theirs = peer(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(theirs.len() >= ours.len());
    assert!(theirs[..ours.len()] == ours[..]);
}

#[test]
fn the_peer_ends_a_virtualbox_image_early_without_an_error() {
    let (path, ours) = image("vbox-free-and-zero.vdi");
    let theirs = peer(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(theirs.len() < ours.len(), "{} of {} bytes", theirs.len(), ours.len());
}
