use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::guest::inspect::tests::judge;

fn names(image: &[u8]) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    read(image, &mut (1 << 30), &mut |name| {
        found.insert(String::from_utf8_lossy(name).into_owned());
    })?;
    Ok(found)
}

/// An archive of GNU cpio with files of these names.
fn archive(form: &str, files: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (i, file) in files.iter().enumerate() {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Every remainder of the length by four, and something that compresses badly.
        let content: Vec<u8> = (0..10_000 + i as u32).map(|n| ((n * n) >> 7) as u8).collect();
        fs::write(path, content).unwrap();
    }
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.ko")).unwrap();
    let script = format!(
        "cd '{}' && find . | LC_ALL=C sort | cpio -o -H {form} --quiet",
        folder.path().display()
    );
    // The shell would hide that cpio is missing.
    judge("cpio", "cpio", &["--version"], b"");
    judge("sh", "dash", &["-c", &script], b"")
}

/// What GNU cpio lists, without folders and links.
fn listed(archive: &[u8]) -> BTreeSet<String> {
    let list = String::from_utf8(judge("cpio", "cpio", &["-itv", "--quiet"], archive)).unwrap();
    let files = list.lines().filter(|line| line.starts_with('-'));
    files.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

const MODULES: [&str; 5] = [
    "lib/modules/6.1/kernel/drivers/block/virtio_blk.ko",
    "lib/modules/6.1/kernel/drivers/virtio/virtio_pci.ko",
    "lib/modules/6.1/kernel/drivers/ata/ahci.ko",
    "init",
    "etc/x",
];

const PACKERS: [(&str, &str, &[&str]); 8] = [
    ("gzip", "gzip", &["-9n"]),
    ("xz", "xz-utils", &["--check=crc32"]),
    ("xz", "xz-utils", &["-9", "--check=sha256"]),
    ("xz", "xz-utils", &["--x86", "--lzma2=dict=1MiB"]),
    ("lzma", "xz-utils", &["-9"]),
    ("zstd", "zstd", &["-q", "-19", "-c"]),
    ("zstd", "zstd", &["-q", "-1", "--no-check", "-c"]),
    ("lz4", "lz4", &["-l", "-9", "-c"]),
];

#[test]
fn cpio_agrees_on_every_form() {
    for form in ["newc", "crc"] {
        let plain = archive(form, &MODULES);
        let expected = listed(&plain);
        assert_eq!(expected.len(), MODULES.len(), "{expected:?}");
        assert_eq!(names(&plain).unwrap(), expected);
        for (tool, package, args) in PACKERS {
            let packed = judge(tool, package, args, &plain);
            assert_ne!(Form::of(&packed), Some(Form::Plain));
            assert_eq!(names(&packed).unwrap(), expected, "{tool} {args:?}");
        }
    }
}

/// The form of nearly every PC: microcode first, then the compressed rest; here with a third part.
#[test]
fn lsinitramfs_agrees_on_several_parts() {
    let microcode = archive("newc", &["kernel/x86/microcode/AuthenticAMD.bin"]);
    let main = archive("newc", &MODULES);
    for (tool, package, args) in PACKERS {
        let mut image = microcode.clone();
        image.extend(judge(tool, package, args, &main));
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &image).unwrap();
        let path = file.path().to_str().unwrap();
        let theirs = judge("lsinitramfs", "initramfs-tools-core", &[path], b"");
        let theirs = String::from_utf8(theirs).unwrap();
        let ours = names(&image).unwrap();
        assert_eq!(ours.len(), MODULES.len() + 1, "{tool}");
        assert!(ours.iter().all(|name| theirs.lines().any(|line| line == name)), "{theirs}");
        // A part behind it: the LZ4 form has no end, so that none can follow.
        if tool != "lz4" {
            image.resize(image.len().next_multiple_of(512), 0);
            image.extend(judge("gzip", "gzip", &[], &archive("newc", &["late"])));
            assert_eq!(names(&image).unwrap().len(), MODULES.len() + 2, "{tool}");
        }
    }
}

#[test]
fn a_cut_image_is_no_whole_one() {
    let plain = archive("newc", &MODULES[..2]);
    for (tool, package, args) in PACKERS {
        let image = judge(tool, package, args, &plain);
        for len in (1..image.len()).step_by(97) {
            // What is cut behind the trailer may be enough.
            if let Ok(found) = names(&image[..len]) {
                assert!(found.len() <= 2, "{tool} {len}");
            }
        }
        assert!(names(&image[..image.len() / 2]).is_err(), "{tool}");
    }
    for len in (1..plain.len()).step_by(97) {
        let _ = names(&plain[..len]);
    }
    assert!(names(&plain[..200]).is_err());
}

#[test]
fn damage_is_survived() {
    let plain = archive("newc", &MODULES[..2]);
    for (tool, package, args) in PACKERS {
        let image = judge(tool, package, args, &plain);
        for at in (0..image.len()).step_by(61) {
            for flip in [1, 0x80, 0xff] {
                let mut image = image.clone();
                image[at] ^= flip;
                let _ = names(&image);
            }
        }
    }
}

#[test]
fn a_bomb_ends_at_the_budget() {
    // An archive of one file that is all zeros, longer than may be unpacked: 070701, regular.
    let mut header = b"070701".to_vec();
    for number in [1, 0o100_644, 0, 0, 1, 0, 0x6000_0000_u32, 0, 0, 0, 0, 2, 0] {
        header.extend(format!("{number:08x}").bytes());
    }
    header.extend(b"a\0");
    let script = "cat; head -c 1610612736 /dev/zero";
    let whole = format!("({script}) | zstd -q -1 -c");
    judge("zstd", "zstd", &["--version"], b"");
    let bomb = judge("sh", "dash", &["-c", &whole], &header);
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let error = names(&bomb).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    // Zeros between archives count, too.
    let zeros = judge("sh", "dash", &["-c", "head -c 1610612736 /dev/zero | zstd -q -1 -c"], b"");
    assert_eq!(names(&zeros).unwrap_err().kind(), ErrorKind::FileTooLarge);
}

/// Nearly empty blocks of xz.
#[test]
fn small_blocks_without_end() {
    let packed = |count: usize| {
        let args = ["-0", "-T1", "--block-size=1", "--check=none", "--lzma2=dict=4KiB"];
        judge("xz", "xz-utils", &args, &vec![0; count])
    };
    let few = packed(1000);
    assert!(names(&few).unwrap().is_empty());
    // One stream's blocks again and again: header, blocks, then no end.
    let index = few.windows(4).rposition(|four| four[0] == 0 && four[1] == 0xe8 && four[2] == 0x07);
    let blocks = &few[12..index.unwrap()];
    let image = [&few[..12], &blocks.repeat((1 << 21) / blocks.len() + 1)].concat();
    assert_eq!(names(&image).unwrap_err().to_string(), "unpacks to too little");
}

#[test]
fn hostile_headers() {
    let header = |name: u32, size: u32| {
        let mut header = b"070701".to_vec();
        for number in [1, 0o100_644, 0, 0, 1, 0, size, 0, 0, 0, 0, name, 0] {
            header.extend(format!("{number:08x}").bytes());
        }
        header
    };
    for (name, size) in [(0, 0), (u32::MAX, 0), (4097, 0), (2, u32::MAX), (4096, 0)] {
        assert!(names(&header(name, size)).is_err(), "{name} {size}");
    }
    let mut signs = header(2, 0);
    signs[14] = b'+';
    signs.extend(b"a\0");
    assert!(names(&signs).is_err());
    for magic in [&b"070707"[..], b"BZh9", b"\x89LZO", b"MZ", b"\x28\xb5\x2f\xfd", b"\x5d\0\0"] {
        assert!(names(magic).is_err(), "{magic:?}");
    }
    // Windows of 4 GiB: lzma, and zstd.
    let mut lzma = b"\x5d\0\0".to_vec();
    lzma.extend([0xff; 40]);
    assert!(names(&lzma).is_err());
    assert!(names(b"\x28\xb5\x2f\xfd\x00\xaf\x00\x00\x00").is_err());
    // A block of lz4 with a length that is not there, and one that is too large.
    assert!(names(b"\x02\x21\x4c\x18\xff\xff\xff\x00").is_err());
    assert!(names(b"\x02\x21\x4c\x18\xff\xff\xff\xff").is_err());
    // Small streams without end.
    let empty = judge("gzip", "gzip", &["-n"], b"");
    assert!(names(&empty.repeat(MAX_STREAMS)).unwrap().is_empty());
    assert!(names(&empty.repeat(MAX_STREAMS + 1)).is_err());
    assert!(names(b"").unwrap().is_empty() && names(&[0; 5000]).unwrap().is_empty());
}

/// A decoder that gives nothing out before its window is full is no reason to stop.
#[test]
fn long_streams_that_hardly_compress() {
    let (folder, mut seed) = (tempfile::tempdir().unwrap(), 1_u32);
    let noise = (0..12 << 20).map(|_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    });
    fs::write(folder.path().join("firmware"), noise.collect::<Vec<u8>>()).unwrap();
    fs::write(folder.path().join("last"), "x").unwrap();
    let path = folder.path().display();
    let script = format!("cd '{path}' && printf 'firmware\\nlast\\n' | cpio -o -H newc --quiet");
    let plain = judge("sh", "dash", &["-c", &script], b"");
    for (tool, package, args) in [
        ("gzip", "gzip", &["-1"][..]),
        ("xz", "xz-utils", &["-0"]),
        ("lzma", "xz-utils", &["-0"]),
        ("zstd", "zstd", &["-q", "-3", "-c"]),
        ("lz4", "lz4", &["-l", "-1", "-c"]),
    ] {
        let image = judge(tool, package, args, &plain);
        assert!(image.len() > 8 << 20);
        assert_eq!(
            names(&image).unwrap(),
            ["firmware", "last"].map(str::to_owned).into(),
            "{tool}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes(form in 0..7_usize, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let magics: [&[u8]; 7] =
            [b"070701", b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x02\x21\x4c\x18", b"\x5d\0\0", b""];
        let mut image = magics[form].to_vec();
        image.extend(bytes);
        let _ = names(&image);
    }
}
