//! Disks with guests on them, made without root, and what comes out when they are converted.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use stratus::disk::{Content, Disk, Extent};
use stratus::error::Result;

use super::vdi::{Block, Vdi};
use super::{ext, judge, stratus};

/// Bytes of a sector.
pub const SECTOR: usize = 512;
const MIB: usize = 1 << 20;

/// What a small guest of the Debian kind has, besides what a test adds: path, text, mode.
const FILES: &[(&str, &str, u32)] = &[
    ("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n", 0o644),
    ("etc/hostname", "guest\n", 0o644),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n", 0o644),
    (
        "etc/shadow",
        "root:$6$abcdefgh$MARKERHASH:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\n",
        0o640,
    ),
    (
        "etc/shadow-",
        "root:$6$abcdefgh$MARKERHASH:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\n",
        0o600,
    ),
    ("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444),
    ("etc/ssh/sshd_config", "Port 22\nPasswordAuthentication yes\n", 0o644),
    ("etc/ssh/ssh_host_rsa_key", "MARKERKEY host\n", 0o600),
    ("etc/ssh/ssh_host_rsa_key.pub", "MARKERKEY host public\n", 0o644),
    ("usr/bin/ssh-keygen", "\x7fELF", 0o755),
    ("usr/sbin/sshd", "\x7fELF", 0o755),
    ("usr/lib/systemd/systemd", "\x7fELF", 0o755),
    ("usr/lib/systemd/system/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n", 0o644),
    ("usr/share/doc/readme", "what no edit touches\n", 0o644),
    ("boot/vmlinuz-6.1", "no kernel", 0o644),
    ("root/.ssh/authorized_keys", "ssh-ed25519 MARKERKEY builder\n", 0o600),
    ("root/.ssh/known_hosts", "host MARKERKEY\n", 0o600),
    ("root/.bash_history", "MARKERHISTORY\n", 0o600),
    ("home/bob/.bash_history", "MARKERHISTORY\n", 0o600),
    ("home/bob/letter", "dear all\n", 0o600),
    ("var/log/wtmp", "MARKERLOG", 0o664),
    ("var/lib/data", "kept\n", 0o600),
    ("tmp/scratch", "MARKERTMP", 0o600),
];

/// Puts a small guest into the folder `root`.
pub fn tree(root: &Path, fstab: &str) {
    let put = |path: &str, text: &str, mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    FILES.iter().for_each(|(path, text, mode)| put(path, text, *mode));
    put("etc/fstab", fstab, 0o644);
    fs::create_dir_all(root.join("var/tmp")).unwrap();
    fs::create_dir_all(root.join("proc")).unwrap();
    let link = |target: &str, name: &str| {
        if !root.join(name).exists() {
            symlink(target, root.join(name)).unwrap();
        }
    };
    link("usr/bin", "bin");
    link("usr/sbin", "sbin");
    link("usr/lib", "lib");
    link("../lib/systemd/systemd", "usr/sbin/init");
    for i in 0..60 {
        put(&format!("usr/share/doc/{i:03}"), &format!("{i}\n").repeat(i * 7), 0o644);
    }
}

/// A guest's one file system, with checks after some mounts and days as old ones have them.
pub fn file_system(folder: &Path, arguments: &str, tree: &Path, mib: u64) -> Vec<u8> {
    let image = folder.join("file-system.img");
    let _ = fs::remove_file(&image);
    ext::make(&image, arguments, tree, mib);
    let mut tune2fs = judge("tune2fs", "e2fsprogs");
    let output = tune2fs.args(["-c", "30", "-i", "180d"]).arg(&image).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    fs::read(&image).unwrap()
}

/// The same, with the guest of [`tree`] in it.
pub fn root(folder: &Path, arguments: &str, fstab: &str, mib: u64) -> Vec<u8> {
    let files = folder.join("root-tree");
    let _ = fs::remove_dir_all(&files);
    tree(&files, fstab);
    file_system(folder, arguments, &files, mib)
}

/// Where the bytes of a volume are: offset and length.
pub type Runs = Vec<(usize, usize)>;

/// A disk that was put together.
pub struct GuestDisk {
    pub bytes: Vec<u8>,
    /// Volumes by their place in the guest (`/`, `/usr`); the file systems to judge.
    pub volumes: Vec<(&'static str, Runs)>,
}

impl GuestDisk {
    /// One file system on the disk itself.
    pub fn bare(bytes: Vec<u8>) -> Self {
        let len = bytes.len();
        GuestDisk { bytes, volumes: vec![("/", vec![(0, len)])] }
    }

    /// One volume out of a disk of this layout.
    pub fn cut(&self, raw: &[u8], at: &str) -> Vec<u8> {
        let (_, runs) = self.volumes.iter().find(|(place, _)| *place == at).unwrap();
        runs.iter().flat_map(|(start, len)| &raw[*start..start + len]).copied().collect()
    }
}

/// A partition that is wanted: what it holds, and where.
pub struct Part<'a> {
    /// Its place in the guest, or empty if it is none of its file systems.
    pub at: &'static str,
    pub bytes: &'a [u8],
    /// First sector; 0 is the next MiB.
    pub start: usize,
    /// Its number; 0 is the next one.
    pub number: usize,
    /// More for its line of the script: `type=83`.
    pub line: &'a str,
}

impl<'a> Part<'a> {
    pub fn new(at: &'static str, bytes: &'a [u8]) -> Self {
        Part { at, bytes, start: 0, number: 0, line: "" }
    }
}

/// A disk whose table sfdisk wrote. `label` is `dos` or `gpt`.
pub fn partitioned(folder: &Path, label: &str, parts: &[Part<'_>]) -> GuestDisk {
    let mut script = format!("label: {label}\nunit: sectors\n");
    let (mut end, mut starts) = (2048_usize, Vec::new());
    for (index, part) in parts.iter().enumerate() {
        // Logical partitions have a sector with their own table in front of them.
        let start = if part.start > 0 { part.start } else { end.next_multiple_of(2048) + 2048 };
        let size = part.bytes.len() / SECTOR;
        let number = if part.number > 0 { part.number } else { index + 1 };
        script += &format!("disk{number} : start={start}, size={size}");
        if !part.line.is_empty() {
            script += &format!(", {}", part.line);
        }
        script.push('\n');
        starts.push(start * SECTOR);
        // An extended partition is only its table: what is in it follows as partitions.
        end = if part.line.contains("type=5") { start } else { start + size };
    }
    let image = folder.join("partitioned.img");
    let sectors =
        end.max(starts.iter().zip(parts).map(|(s, p)| (s + p.bytes.len()) / SECTOR).max().unwrap());
    let size = (sectors * SECTOR + 2 * MIB).next_multiple_of(MIB);
    fs::File::create(&image).unwrap().set_len(size as u64).unwrap();
    let mut sfdisk = judge("sfdisk", "fdisk");
    sfdisk.args(["--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never"]).arg(&image);
    let mut child = sfdisk.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut bytes = fs::read(&image).unwrap();
    let mut volumes = Vec::new();
    for (part, start) in parts.iter().zip(starts) {
        if !part.line.contains("type=5") {
            bytes[start..start + part.bytes.len()].copy_from_slice(part.bytes);
        }
        if !part.at.is_empty() {
            volumes.push((part.at, vec![(start, part.bytes.len())]));
        }
    }
    GuestDisk { bytes, volumes }
}

/// What a conversion gave.
pub struct Converted {
    pub output: Output,
    /// The raw image, if there is one.
    pub raw: Option<Vec<u8>>,
    pub record: Value,
}

impl Converted {
    /// Exit code, and all that was said.
    pub fn said(&self) -> String {
        format!(
            "{:?}\n{}{}",
            self.output.status,
            String::from_utf8_lossy(&self.output.stdout),
            String::from_utf8_lossy(&self.output.stderr)
        )
    }

    /// The names and paths of the edits that the record lists.
    pub fn edits(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = self.record["edits"].as_array();
        list.into_iter().flatten().map(|e| (text(&e["name"]), text(&e["path"]))).collect()
    }

    /// The record's warnings, one a line: code, message.
    pub fn warnings(&self) -> String {
        let list = self.record["warnings"].as_array();
        let line = |w: &Value| {
            format!("{}: {}\n", w["code"].as_str().unwrap(), w["message"].as_str().unwrap())
        };
        list.into_iter().flatten().map(line).collect()
    }
}

/// A VDI of these bytes: blocks of zeros are free.
pub fn vdi(path: &Path, bytes: &[u8]) {
    let mut vdi = Vdi::new(bytes.len() as u64, MIB as u32);
    for (number, block) in bytes.chunks(MIB).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            vdi.blocks[number] = Block::Data(block.to_vec());
        }
    }
    fs::write(path, vdi.bytes()).unwrap();
}

/// Converts a VDI of `bytes` to a raw image, by the real program.
pub fn convert(bytes: &[u8], arguments: &[&str]) -> Converted {
    let folder = super::folder_in_memory();
    vdi(&folder.path().join("disk.vdi"), bytes);
    convert_in(folder.path(), arguments)
}

/// Converts `disk.vdi` of `folder` to `out.img` beside it.
pub fn convert_in(folder: &Path, arguments: &[&str]) -> Converted {
    let before = fs::read(folder.join("disk.vdi")).unwrap();
    let mut command = stratus(folder);
    command.args(["disk.vdi", "-C", "none", "-o", "out.img", "--progress", "none"]);
    let output = command.args(arguments).output().unwrap();
    assert!(fs::read(folder.join("disk.vdi")).unwrap() == before, "the source was changed");
    let raw = fs::read(folder.join("out.img")).ok();
    let record = fs::read(folder.join("out.img.json")).ok();
    let record = record.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
    if raw.is_none() {
        assert_eq!(super::names(folder), ["disk.vdi"], "something is left behind");
    }
    Converted { output, raw, record }
}

/// What is at a path, as debugfs hands it out: type and mode, owner, group, content or target.
pub type Entry = (u32, u32, u32, Vec<u8>);

/// All files of a file system, by their path in it, by debugfs.
pub fn listing(file_system: &[u8]) -> BTreeMap<PathBuf, Entry> {
    let folder = super::folder_in_memory();
    let image = folder.path().join("fs.img");
    fs::write(&image, file_system).unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    ext::debugfs(&image, &format!("rdump / {}", out.display()));
    let mut found = BTreeMap::new();
    let mut folders = vec![out.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            let name = Path::new("/").join(path.strip_prefix(&out).unwrap());
            found.insert(name, (meta.mode(), meta.uid(), meta.gid(), content));
        }
    }
    found
}

/// All files of a guest, whose file systems lie on a disk of this layout.
pub fn files(disk: &GuestDisk, raw: &[u8]) -> BTreeMap<PathBuf, Entry> {
    let mut all = BTreeMap::new();
    for (at, _) in &disk.volumes {
        for (path, entry) in listing(&disk.cut(raw, at)) {
            all.insert(Path::new(at).join(path.strip_prefix("/").unwrap()), entry);
        }
    }
    all
}

/// The paths that are not the same in both.
pub fn differing(
    before: &BTreeMap<PathBuf, Entry>,
    after: &BTreeMap<PathBuf, Entry>,
) -> Vec<PathBuf> {
    let paths: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).cloned().collect()
}

/// Asserts what is true of every image that was prepared: its file systems are clean, no check is
/// due in any copy of their superblocks, and no file differs but those that the record names.
#[track_caller]
pub fn assert_prepared(disk: &GuestDisk, converted: &Converted) {
    assert!(converted.output.status.success(), "{}", converted.said());
    let raw = converted.raw.as_deref().unwrap();
    assert_eq!(raw.len(), disk.bytes.len());
    let folder = super::folder_in_memory();
    for (at, _) in &disk.volumes {
        let image = folder.path().join("judged.img");
        fs::write(&image, disk.cut(raw, at)).unwrap();
        ext::fsck(&image);
        ext::assert_no_checks(&image);
    }
    let edits = converted.edits();
    assert!(edits.iter().any(|(name, _)| name == "fsck-interval"), "{}", converted.record);
    let (before, after) = (files(disk, &disk.bytes), files(disk, raw));
    assert!(after.len() > 50, "only {} files", after.len());
    for path in differing(&before, &after) {
        let named = edits.iter().any(|(_, edited)| {
            let new_folder = !before.contains_key(&path) && Path::new(edited).starts_with(&path);
            path.starts_with(edited) || new_folder
        });
        assert!(named, "{} differs, and the record does not say so: {edits:?}", path.display());
    }
}

/// A disk in memory.
pub struct Memory(pub Arc<Vec<u8>>);

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }
    fn extent_at(&self, offset: u64, max: u64) -> Result<Extent> {
        Ok(Extent { len: max.min(self.size() - offset), content: Content::Data })
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let start = usize::try_from(offset).unwrap();
        buf.copy_from_slice(&self.0[start..start + buf.len()]);
        Ok(())
    }
}

// Guests that are made to lead astray -------------------------------------------------------------

/// Where the SSH server's configuration is, below the tree's folder.
pub const CONFIG: &str = "etc/ssh/sshd_config";
/// The table of a guest whose disk is one file system.
pub const FSTAB: &str = "/dev/sda / ext4 defaults 0 1\n";
/// What a whole conversion of a hostile guest may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A guest, changed on its way to the disk: its files before, the file system after.
pub struct Hostile {
    /// Of mke2fs.
    pub arguments: &'static str,
    pub mib: u64,
    /// Commands of `debugfs -w`.
    pub debugfs: Vec<String>,
}

impl Default for Hostile {
    fn default() -> Self {
        Hostile { arguments: "-t ext4", mib: 24, debugfs: Vec::new() }
    }
}

impl Hostile {
    pub fn on(arguments: &'static str) -> Self {
        Hostile { arguments, ..Hostile::default() }
    }

    pub fn with(mut self, commands: &[&str]) -> Self {
        self.debugfs.extend(commands.iter().map(|command| (*command).to_owned()));
        self
    }

    pub fn disk(&self, change: impl FnOnce(&Path)) -> GuestDisk {
        let folder = super::folder_in_memory();
        let files = folder.path().join("tree");
        tree(&files, FSTAB);
        change(&files);
        let bytes = file_system(folder.path(), self.arguments, &files, self.mib);
        let image = folder.path().join("hostile.img");
        fs::write(&image, bytes).unwrap();
        if !self.debugfs.is_empty() {
            let script = folder.path().join("script");
            fs::write(&script, self.debugfs.join("\n")).unwrap();
            let mut command = judge("debugfs", "e2fsprogs");
            let output = command.args(["-w", "-f"]).arg(&script).arg(&image).output().unwrap();
            assert!(output.status.success(), "{output:?}");
        }
        ext::fsck(&image);
        GuestDisk::bare(fs::read(&image).unwrap())
    }
}

/// Converts it, in a time that no guest may exceed.
#[track_caller]
pub fn timed(disk: &GuestDisk, arguments: &[&str]) -> Converted {
    let began = Instant::now();
    let converted = convert(&disk.bytes, arguments);
    let took = began.elapsed();
    assert!(took < PATIENCE, "{took:?}: {}", converted.said());
    converted
}

/// A file of the image's one file system, as text.
pub fn content(converted: &Converted, path: &str) -> Option<String> {
    let files = listing(converted.raw.as_ref().unwrap());
    let entry = files.get(Path::new(path))?;
    Some(String::from_utf8_lossy(&entry.3).into_owned())
}

/// Whether the server's configuration in this file was edited.
pub fn keys_only(converted: &Converted, path: &str) -> bool {
    content(converted, path).is_some_and(|text| text.contains("\nPasswordAuthentication no"))
}
