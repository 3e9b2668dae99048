//! Images that others made: VirtualBox's own, with recorded digests, and qemu-img's, compared
//! with what qemu-img reads.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::{exits, folder_in_memory, gunzip, judge, noise, run, stderr, testdata};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn index() -> Vec<Value> {
    let text = fs::read_to_string(testdata("disks/INDEX.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Puts all stored images into `folder` as they were, each with its own name.
fn unpack(folder: &Path, index: &[Value]) {
    for entry in index {
        let stored = entry["stored_as"].as_str().unwrap();
        let mut bytes = fs::read(testdata("disks").join(stored)).unwrap();
        if stored.ends_with(".gz") {
            bytes = gunzip(&bytes);
        }
        let name = entry["file"].as_str().unwrap();
        assert_eq!(hex(&Sha256::digest(&bytes)), entry["vdi"]["sha256"], "{name}");
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Whether another image of the index lies over this one.
fn has_children(index: &[Value], name: &str) -> bool {
    index.iter().any(|entry| entry["parents"].as_array().unwrap().iter().any(|p| p == name))
}

/// What is recorded of an encrypted disk are its plain bytes, which take a password.
fn is_encrypted(name: &str) -> bool {
    name.starts_with("sealed/")
}

#[test]
fn every_stored_image_has_the_digests_that_virtualbox_gives_it() {
    let index = index();
    assert!(index.len() >= 30, "{} images", index.len());
    let folder = folder_in_memory();
    unpack(folder.path(), &index);
    let mut compared = 0;
    for entry in &index {
        let name = entry["file"].as_str().unwrap();
        if entry["raw"].is_null() || is_encrypted(name) {
            continue;
        }
        for (form, out) in [("none", "out.img"), ("gz", "out.img.gz")] {
            let mut args = vec!["-C", form, "-o", out, "--json", "--checksum", "sha1,sha256", name];
            if has_children(&index, name) {
                exits(&run(folder.path(), &args), 65);
                args.push("--this-layer");
            }
            let output = run(folder.path(), &args);
            exits(&output, 0);
            let bytes = fs::read(folder.path().join(out)).unwrap();
            let raw = if form == "gz" { gunzip(&bytes) } else { bytes };
            let record: Value = serde_json::from_slice(&output.stdout).unwrap();
            let digests = [hex(&Sha1::digest(&raw)), hex(&Sha256::digest(&raw))];
            for (digest, key) in digests.iter().zip(["sha1", "sha256"]) {
                assert_eq!(*digest, entry["raw"][key], "{name} as {form}");
                assert_eq!(record["raw"][key], entry["raw"][key], "{name} as {form}");
            }
            assert_eq!(record["raw"]["bytes"], entry["raw"]["size"], "{name}");
            let layers = record["source"]["layers"].as_array().unwrap();
            assert_eq!(layers[0]["uuid"], entry["uuid"], "{name}");
            assert_eq!(layers.len(), 1 + entry["parents"].as_array().unwrap().len(), "{name}");
            for done in [out.to_owned(), format!("{out}.json")] {
                fs::remove_file(folder.path().join(done)).unwrap();
            }
        }
        compared += 1;
    }
    assert!(compared >= 30, "{compared} compared");
}

#[test]
fn what_virtualbox_refuses_as_changed_is_refused() {
    let index = index();
    let folder = folder_in_memory();
    unpack(folder.path(), &index);
    let stale = index.iter().filter(|e| e["raw"].is_null());
    let mut count = 0;
    for entry in stale {
        let output = run(folder.path(), [entry["file"].as_str().unwrap()]);
        exits(&output, 65);
        let said = stderr(&output);
        assert!(said.contains(entry["parent_uuid"].as_str().unwrap()), "{said}");
        assert!(said.contains(entry["parent_modification_uuid"].as_str().unwrap()), "{said}");
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn an_encrypted_disk_is_not_converted_without_a_word() {
    // Nothing in a VDI tells; that it begins with noise and has no hole is all there is to see.
    let index = index();
    let folder = folder_in_memory();
    unpack(folder.path(), &index);
    let mut count = 0;
    for entry in index.iter().filter(|entry| is_encrypted(entry["file"].as_str().unwrap())) {
        let output = run(folder.path(), [entry["file"].as_str().unwrap()]);
        assert!(stderr(&output).contains("encrypted"), "{}", stderr(&output));
        count += 1;
    }
    assert!(count > 0);
}

// ---------------------------------------------------------------------------------------------
// qemu-img
// ---------------------------------------------------------------------------------------------

/// What qemu-img makes of a VDI.
fn read_by_qemu(folder: &Path, name: &str) -> Vec<u8> {
    let mut command = judge("qemu-img", "qemu-utils");
    let output = command
        .args(["convert", "-f", "vdi", "-O", "raw", name, "qemu.raw"])
        .current_dir(folder)
        .output()
        .unwrap();
    exits(&output, 0);
    fs::read(folder.join("qemu.raw")).unwrap()
}

fn read_by_us(folder: &Path, name: &str) -> Vec<u8> {
    let args = ["--this-layer", "--force", "-C", "none", "-o", "ours.img", name];
    exits(&run(folder, args), 0);
    fs::read(folder.join("ours.img")).unwrap()
}

#[test]
fn qemu_img_reads_the_same_where_it_can_read() {
    // It refuses children, blocks that are not of 1 MiB, and the old header; it ignores extra
    // bytes before blocks; and it rounds odd sizes up where VirtualBox rounds down.
    let index = index();
    let folder = folder_in_memory();
    unpack(folder.path(), &index);
    let can_read = |entry: &&Value| {
        let name = entry["file"].as_str().unwrap();
        entry["block_size"] == 1 << 20
            && entry["type"] != "differencing"
            && entry["virtual_size"].as_u64().unwrap().is_multiple_of(512)
            && !name.contains("extra")
            && !name.contains("old.vdi")
    };
    let mut count = 0;
    for entry in index.iter().filter(can_read) {
        let name = entry["file"].as_str().unwrap();
        let same = read_by_qemu(folder.path(), name) == read_by_us(folder.path(), name);
        assert!(same, "{name}");
        count += 1;
    }
    assert!(count >= 15, "{count} images");
}

/// A raw disk of `size` bytes with data here and there.
fn raw_disk(path: &Path, size: u64, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; size as usize];
    for (number, piece) in bytes.chunks_mut(300_000).enumerate() {
        if number % 3 != 1 {
            let len = piece.len().min(20_000 * (1 + number % 5));
            piece[..len].copy_from_slice(&noise(seed + number as u64, len));
        }
    }
    fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn what_qemu_img_writes_is_read_back() {
    let folder = folder_in_memory();
    let here = folder.path();
    let sizes = [512, 1 << 20, (1 << 20) + 512, (7 << 20) + 3 * 512, 20 << 20u64];
    for (number, size) in sizes.into_iter().enumerate() {
        let raw = raw_disk(&here.join("in.raw"), size, number as u64);
        for options in ["static=off", "static=on"] {
            let mut command = judge("qemu-img", "qemu-utils");
            let args = ["convert", "-f", "raw", "-O", "vdi", "-o", options, "in.raw", "made.vdi"];
            exits(&command.args(args).current_dir(here).output().unwrap(), 0);
            assert!(read_by_us(here, "made.vdi") == raw, "{size} {options}");
        }
    }
}

#[test]
fn what_qemu_io_writes_into_an_image_is_read_back() {
    // Written in an order that is not the disk's, so the map is no identity.
    let folder = folder_in_memory();
    let here = folder.path();
    let mut create = judge("qemu-img", "qemu-utils");
    let args = ["create", "-q", "-f", "vdi", "made.vdi", "12M"];
    exits(&create.args(args).current_dir(here).output().unwrap(), 0);
    let mut command = judge("qemu-io", "qemu-utils");
    let writes = [
        "write -P 0x11 9M 1M",
        "write -P 0x22 512 4096",
        "write -P 0x33 5000K 700K",
        "write -P 0x44 11M 512",
        "write -z 3M 1M",
        "write -P 0x55 2047K 2K",
        "write -P 0x66 12287K 1K",
        "discard 9M 1M",
    ];
    command.args(["-f", "vdi"]);
    writes.iter().for_each(|write| {
        command.args(["-c", write]);
    });
    exits(&command.arg("made.vdi").current_dir(here).output().unwrap(), 0);
    let ours = read_by_us(here, "made.vdi");
    assert!(ours == read_by_qemu(here, "made.vdi"));
    assert_eq!(ours.len(), 12 << 20);
    assert_eq!(ours[512..4608], [0x22; 4096]);
    assert_eq!(ours[12287 << 10..], [0x66; 1024]);
}

#[test]
fn the_first_disk_of_the_readme_is_what_qemu_img_says() {
    let folder = folder_in_memory();
    let path: PathBuf = testdata("mydisk.vdi");
    fs::copy(path, folder.path().join("mydisk.vdi")).unwrap();
    let ours = read_by_us(folder.path(), "mydisk.vdi");
    assert!(ours == read_by_qemu(folder.path(), "mydisk.vdi"));
    assert_eq!(ours[510..512], [0x55, 0xaa]);
    // The zeros in it are holes of the file, not bytes on the disk.
    use std::os::unix::fs::MetadataExt;
    let file = File::open(folder.path().join("ours.img")).unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 < ours.len() as u64);
}
