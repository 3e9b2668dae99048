//! ext file systems made without root, and the judges that look into them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use stratus::disk::overlay::{Budget, Limits, Overlay};
use stratus::disk::{Disk, Format, OpenOptions};
use stratus::error::Result;
use stratus::guest::block::Block;
use stratus::guest::ext::{self, Ext};
use stratus::guest::mounted::MountedTree;

use super::judge;

/// Name, arguments of mke2fs.
pub const FLAVOURS: &[(&str, &str)] = &[
    ("ext4", "-t ext4"),
    ("ext4-4k", "-t ext4 -b 4096"),
    ("ext4-2k", "-t ext4 -b 2048 -O ^metadata_csum"),
    ("ext4-old", "-t ext4 -O ^64bit,^metadata_csum,uninit_bg,^flex_bg"),
    ("ext4-seed", "-t ext4 -O metadata_csum_seed,orphan_file -b 4096"),
    ("ext4-inline", "-t ext4 -O inline_data"),
    ("ext4-inline-4k", "-t ext4 -O inline_data -b 4096"),
    ("ext4-ea", "-t ext4 -O ea_inode,large_dir"),
    ("ext4-metabg", "-t ext4 -O meta_bg,^resize_inode"),
    ("ext4-super2", "-t ext4 -O sparse_super2,^resize_inode"),
    ("ext4-nojournal", "-t ext4 -O ^has_journal"),
    ("ext4-noextents", "-t ext4 -O ^extents,^64bit"),
    ("ext4-128", "-t ext4 -I 128"),
    ("ext4-noindex", "-t ext4 -O ^dir_index"),
    ("ext3", "-t ext3 -I 128"),
    ("ext3-4k", "-t ext3 -b 4096"),
    ("ext2", "-t ext2"),
    ("ext2-old", "-t ext2 -I 128 -O none,filetype"),
    ("ext2-rev0", "-t ext2 -r 0 -O none"),
];

/// Makes `image` of `mib` MiB with what is in the folder `tree`, owned by root.
#[track_caller]
pub fn make(image: &Path, arguments: &str, tree: &Path, mib: u64) {
    let mut mke2fs = judge("mke2fs", "e2fsprogs");
    mke2fs.args(arguments.split_whitespace()).args(["-q", "-F", "-E", "root_owner=0:0", "-d"]);
    mke2fs.arg(tree).arg(image).arg(format!("{mib}m"));
    let output = mke2fs.output().unwrap();
    assert!(output.status.success(), "{mke2fs:?}: {output:?}");
}

/// Asserts that e2fsck finds nothing.
#[track_caller]
pub fn fsck(image: &Path) {
    let output = judge("e2fsck", "e2fsprogs").arg("-fn").arg(image).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {text}", image.display());
    assert!(!text.contains("WARNING"), "{}: {text}", image.display());
}

/// What `debugfs -R command` says.
#[track_caller]
pub fn debugfs(image: &Path, command: &str) -> String {
    let mut debugfs: Command = judge("debugfs", "e2fsprogs");
    let output = debugfs.arg("-R").arg(command).arg(image).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Edits the file system in `image` as the program does, and writes what comes out to
/// `image.out`. Returns that and whether anything was changed.
pub fn edit(
    image: &Path,
    change: impl FnOnce(&mut MountedTree) -> Result<()>,
) -> Result<(PathBuf, bool)> {
    let options = OpenOptions { format: Some(Format::Raw), ..OpenOptions::default() };
    let disk: Arc<dyn Disk> = Arc::new(stratus::disk::open(image, &options)?);
    let budget = Budget::new(Limits::default());
    let first = Arc::new(Overlay::new(disk, budget.clone()));
    let block: Arc<dyn Block> = first.clone();
    ext::recover(&block)?;
    drop(block);
    let recovered: Arc<dyn Disk> = Arc::new(Arc::into_inner(first).unwrap().freeze()?);
    let before: Arc<dyn Block> = Arc::new(Overlay::new(recovered.clone(), budget.clone()));
    let second = Arc::new(Overlay::new(recovered.clone(), budget.clone()));
    let mut tree = MountedTree::default();
    let ext = Ext::open(second.clone(), before, None)?;
    tree.mount(Path::new("/"), Some(Box::new(ext)));
    change(&mut tree)?;
    tree.finish()?;
    let edited = Arc::into_inner(second).unwrap().freeze()?;
    let mut bytes = vec![0; usize::try_from(edited.size()).unwrap()];
    edited.read_at(&mut bytes, 0)?;
    let out = image.with_extension("out");
    std::fs::write(&out, bytes).unwrap();
    Ok((out, !edited.is_unchanged()))
}

/// What `dumpe2fs` says of a superblock: the first one, or the copy in a block.
#[track_caller]
pub fn dumpe2fs(image: &Path, copy: Option<(u64, u64)>) -> String {
    let mut dumpe2fs = judge("dumpe2fs", "e2fsprogs");
    if let Some((block, size)) = copy {
        // Only the superblock: the descriptors beside a copy are as old as the last `mke2fs`.
        let places = [format!("superblock={block}"), format!("blocksize={size}")];
        dumpe2fs.args(["-h", "-o", &places[0], "-o", &places[1]]);
    }
    let output = dumpe2fs.arg(image).output().unwrap();
    assert!(output.status.success(), "{copy:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asserts that no check is due after so many mounts or days, by all copies of the superblock.
#[track_caller]
pub fn assert_no_checks(image: &Path) {
    let field = |text: &str, name: &str| -> String {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split(':').nth(1).unwrap_or_default().split_whitespace().next().unwrap_or("").into()
    };
    let first = dumpe2fs(image, None);
    let size = field(&first, "Block size").parse().unwrap();
    let backups =
        first.lines().filter_map(|line| line.trim().strip_prefix("Backup superblock at "));
    let backups = backups.map(|rest| rest.split(',').next().unwrap().parse().unwrap());
    let copies: Vec<Option<(u64, u64)>> =
        std::iter::once(None).chain(backups.map(|block| Some((block, size)))).collect();
    for copy in copies {
        let text = dumpe2fs(image, copy);
        assert_eq!(field(&text, "Maximum mount count"), "-1", "{copy:?}");
        assert_eq!(field(&text, "Check interval"), "0", "{copy:?}");
    }
}

/// CRC-32C as ext4 uses it: begun with all ones, not inverted at the end.
pub fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0, |crc, byte| {
        let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

/// Where the first superblock is.
pub const SUPERBLOCK: usize = 1024;

/// Gives the first superblock the checksum that belongs to it, if it has one.
pub fn seal(file_system: &mut [u8]) {
    let sb = &mut file_system[SUPERBLOCK..SUPERBLOCK + 1024];
    if sb[0x65] & 4 != 0 {
        let sum = crc32c(&sb[..0x3fc]);
        sb[0x3fc..].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Changes bytes of the first superblock and seals it.
pub fn patch(file_system: &mut [u8], at: usize, bytes: &[u8]) {
    file_system[SUPERBLOCK + at..][..bytes.len()].copy_from_slice(bytes);
    seal(file_system);
}
