//! The compressed image before other programs: one gzip member that each of them unpacks to the
//! same bytes.

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::vdi::{Block, Vdi};
use common::{exits, folder, gunzip, judge, noise, run, stratus, testdata};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const MIB: usize = 1 << 20;

/// Text as people write it: the sources of this package, over and over, never twice the same.
fn prose(len: usize) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["src/lib.rs", "src/error.rs", "Cargo.lock", "tests/common/vdi.rs"];
    let texts = sources.map(|name| fs::read_to_string(root.join(name)).unwrap());
    let mut text = String::with_capacity(len + 4096);
    let mut number = 0_usize;
    while text.len() < len {
        for line in texts.iter().flat_map(|text| text.lines()) {
            number += 1;
            text.push_str(&format!("{:x} {line}\n", number * 7919 % 99991));
        }
    }
    text.truncate(len);
    text.into_bytes()
}

/// Machine code, as compilers make it: the program itself.
fn code(len: usize) -> Vec<u8> {
    let program = fs::read(common::PROGRAM).unwrap();
    program.iter().copied().cycle().take(len).collect()
}

/// Disks of every kind of content: name, image, raw bytes.
fn disks() -> Vec<(&'static str, Vdi)> {
    let disk =
        |size: usize, blocks: Vec<Block>| Vdi { blocks, ..Vdi::new(size as u64, MIB as u32) };
    let data = |bytes: &[u8]| Block::Data(bytes.to_vec());
    let blocks = |bytes: &[u8]| bytes.chunks(MIB).map(Block::from_bytes).collect::<Vec<_>>();
    let mut mixed = blocks(&prose(2 * MIB));
    mixed.extend([Block::Free, Block::Zero]);
    mixed.extend(blocks(&code(2 * MIB)));
    mixed.extend([data(&noise(3, MIB)), Block::Free, data(&[0; MIB]), data(&[0xff; MIB])]);
    vec![
        ("empty", disk(5 * MIB, vec![Block::Free; 5])),
        ("sector", disk(512, vec![data(&noise(1, 512))])),
        ("noise", disk(3 * MIB, blocks(&noise(2, 3 * MIB)))),
        ("odd", disk(MIB + 512, vec![data(&prose(MIB)), data(&noise(4, 512))])),
        ("mixed", disk(mixed.len() * MIB, mixed)),
    ]
}

trait FromBytes {
    fn from_bytes(bytes: &[u8]) -> Self;
}

impl FromBytes for Block {
    fn from_bytes(bytes: &[u8]) -> Block {
        Block::Data(bytes.to_vec())
    }
}

struct Made {
    folder: TempDir,
    /// Image, and the line that a judge prints of it.
    images: Vec<(PathBuf, String)>,
}

fn line(raw: &[u8]) -> String {
    let hex: String = Sha256::digest(raw).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {hex}", raw.len())
}

/// All disks, converted with `args`.
fn made(args: &[&str]) -> Made {
    let folder = folder();
    let mut images = Vec::new();
    for (name, vdi) in disks() {
        fs::write(folder.path().join(format!("{name}.vdi")), vdi.bytes()).unwrap();
        let input = format!("{name}.vdi");
        exits(&run(folder.path(), [&input[..], "-q"].iter().chain(args)), 0);
        images.push((folder.path().join(format!("{name}.img.gz")), line(&vdi.raw(None))));
    }
    Made { folder, images }
}

impl Made {
    /// A judge that takes all images at once and prints a line of each.
    fn all_at_once(&self, mut command: Command) {
        command.args(self.images.iter().map(|(path, _)| path));
        let output = command.output().unwrap();
        exits(&output, 0);
        let found = String::from_utf8(output.stdout).unwrap();
        let expected: Vec<_> = self.images.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{command:?}");
    }

    /// A judge that unpacks one image to its standard output.
    fn one_by_one(&self, command: impl Fn() -> Command) {
        for (path, expected) in &self.images {
            let output = command().stdin(File::open(path).unwrap()).output().unwrap();
            assert!(output.status.success(), "{path:?}: {}", common::stderr(&output));
            assert_eq!(common::stderr(&output), "", "{path:?}");
            assert_eq!(line(&output.stdout), *expected, "{path:?}");
        }
    }
}

fn with(mut command: Command, args: &[&str]) -> Command {
    command.args(args);
    command
}

fn judges_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges").join(name)
}

#[test]
fn gzip_and_pigz_unpack_it() {
    let made = made(&[]);
    made.one_by_one(|| with(judge("gunzip", "gzip"), &["-c"]));
    made.one_by_one(|| with(judge("pigz", "pigz"), &["-dc"]));
    for (path, _) in &made.images {
        for (program, package) in [("gzip", "gzip"), ("pigz", "pigz")] {
            exits(&with(judge(program, package), &["-t"]).arg(path).output().unwrap(), 0);
        }
    }
}

#[test]
fn igzip_unpacks_it() {
    made(&[]).one_by_one(|| with(judge("igzip", "isal"), &["-dc", "-"]));
}

#[test]
fn python_unpacks_one_member() {
    let mut python = judge("python3", "python3-minimal");
    python.arg(judges_file("unpack.py"));
    made(&[]).all_at_once(python);
}

/// A Java server stops at the end of the first member when no more bytes are at hand. The second
/// half shows that this judge would see it.
#[test]
fn java_unpacks_all_of_it_in_short_reads() {
    let java = || {
        with(
            judge("java", "default-jdk-headless"),
            &[&judges_file("Check.java").display().to_string()],
        )
    };
    let made = made(&[]);
    made.all_at_once(java());

    let two = made.folder.path().join("two.gz");
    let image = fs::read(&made.images[1].0).unwrap();
    fs::write(&two, image.repeat(2)).unwrap();
    let output = java().arg(&two).output().unwrap();
    exits(&output, 0);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("512 "), "{output:?}");
}

#[test]
fn the_header_is_the_same_for_every_run() {
    for args in [&[][..], &["--level", "1"], &["--level", "9"]] {
        for (path, _) in made(args).images {
            let image = fs::read(&path).unwrap();
            // Deflate; no name, no time, no flags; unknown system.
            assert_eq!(image[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], "{path:?}");
        }
    }
}

#[test]
fn every_level_unpacks_to_the_same() {
    let mut sizes = Vec::new();
    for level in 1..=9 {
        let made = made(&["--level", &level.to_string()]);
        for (path, expected) in &made.images {
            assert_eq!(
                line(&gunzip(&fs::read(path).unwrap())),
                *expected,
                "level {level} {path:?}"
            );
        }
        sizes.push(fs::metadata(&made.images[4].0).unwrap().len());
    }
    assert!(sizes[0] > sizes[5] && sizes[5] >= sizes[8], "effort does not pay: {sizes:?}");
}

/// The bytes do not depend on the number of threads, on checkpoints, or on where they go.
#[test]
fn threads_do_not_change_the_bytes() {
    let one = made(&["--threads", "1"]);
    for args in [&["--threads", "2"][..], &["--threads", "8"], &["--checkpoint", "1M"]] {
        for ((first, _), (other, _)) in one.images.iter().zip(&made(args).images) {
            assert!(fs::read(first).unwrap() == fs::read(other).unwrap(), "{args:?} {other:?}");
        }
    }
    for (path, _) in &one.images {
        let input = path.to_string_lossy().replace(".img.gz", ".vdi");
        let output = stratus(one.folder.path())
            .args(["-q", "--no-context", "-o", "-", &input])
            .output()
            .unwrap();
        exits(&output, 0);
        assert!(output.stdout == fs::read(path).unwrap(), "to a pipe: {path:?}");
    }
}

/// What `gzip -6` makes of `raw`, in bytes.
fn gzip_6(raw: &[u8]) -> usize {
    let mut gzip = with(judge("gzip", "gzip"), &["-6", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    let raw = raw.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&raw).unwrap());
    let output = gzip.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success());
    output.stdout.len()
}

#[test]
fn at_most_one_percent_larger_than_gzip_6() {
    let folder = folder();
    let mixed = [prose(6 * MIB), code(8 * MIB), noise(5, MIB), vec![0; 4 * MIB]].concat();
    let blocks = mixed.chunks(MIB).map(Block::from_bytes).collect();
    let vdi = Vdi { blocks, ..Vdi::new(mixed.len() as u64, MIB as u32) };
    fs::write(folder.path().join("mixed.vdi"), vdi.bytes()).unwrap();
    fs::copy(testdata("mydisk.vdi"), folder.path().join("mydisk.vdi")).unwrap();
    for name in ["mixed", "mydisk"] {
        exits(&run(folder.path(), ["-q", &format!("{name}.vdi")]), 0);
        let image = fs::read(folder.path().join(format!("{name}.img.gz"))).unwrap();
        let theirs = gzip_6(&gunzip(&image));
        let ours = image.len();
        println!("{name}: {ours} bytes, gzip -6: {theirs}");
        assert!(ours * 100 <= theirs * 101, "{name}: {ours} bytes, gzip -6 makes {theirs}");
    }
}

/// Unfinished work is continued only by the same engine, so its name has to be the truth.
#[test]
fn the_engine_is_the_one_in_the_lock_file() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock: toml::Table = fs::read_to_string(lock).unwrap().parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let package = packages.iter().find(|p| p["name"].as_str() == Some("libdeflater")).unwrap();
    let version = package["version"].as_str().unwrap();
    assert_eq!(stratus::pipeline::gzip::ENGINE, format!("libdeflate-{version}"));
}
