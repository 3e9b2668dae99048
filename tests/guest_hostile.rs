//! Guests that are made to lead astray: paths, marks, names, sizes, and full disks.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use common::ext::{debugfs, fsck};
use common::guest::{
    CONFIG, Converted, FSTAB, GuestDisk, Hostile, PATIENCE, assert_prepared, content, convert,
    file_system, keys_only, listing, timed, tree,
};
use common::{exits, folder_in_memory, judge, stderr};

/// It is prepared, and everything that is always true is true.
#[track_caller]
fn prepared(what: &str, disk: &GuestDisk) -> Converted {
    let converted = timed(disk, &[]);
    println!("{what}: {}{}", converted.said(), converted.warnings());
    assert_prepared(disk, &converted);
    converted
}

/// It is refused with these words.
#[track_caller]
fn refused(what: &str, disk: &GuestDisk, words: &[&str]) {
    let converted = timed(disk, &[]);
    println!("{what}: {}", converted.said());
    exits(&converted.output, 65);
    let said = stderr(&converted.output);
    words.iter().for_each(|word| assert!(said.contains(word), "{what}: no '{word}' in {said}"));
    assert!(converted.raw.is_none(), "{what}");
}

// Links -----------------------------------------------------------------------------------------

/// A change of the guest's files.
type Change<'a> = &'a dyn Fn(&Path);

fn linked(root: &Path, target: &str) {
    fs::remove_file(root.join(CONFIG)).unwrap();
    symlink(target, root.join(CONFIG)).unwrap();
}

#[test]
fn links_that_stay_inside_are_followed() {
    for target in
        ["/etc/real", "/../../etc/real", "../real", "../../../../../etc/real", "//etc//./real"]
    {
        let disk = Hostile::default().disk(|root| {
            linked(root, target);
            fs::write(root.join("etc/real"), "PasswordAuthentication yes\n").unwrap();
        });
        let converted = prepared(target, &disk);
        assert!(keys_only(&converted, "/etc/real"), "{target}");
        let link =
            listing(converted.raw.as_ref().unwrap())[Path::new("/etc/ssh/sshd_config")].clone();
        assert_eq!(link.3, target.as_bytes());
    }
    // The whole of /etc is somewhere else.
    let disk = Hostile::default().disk(|root| {
        fs::rename(root.join("etc"), root.join("usr/etc")).unwrap();
        symlink("usr/etc", root.join("etc")).unwrap();
    });
    let converted = convert(&disk.bytes, &[]);
    exits(&converted.output, 0);
    assert!(keys_only(&converted, "/usr/etc/ssh/sshd_config"), "{}", converted.said());
}

/// The host has the file that the link names. Nobody reads or writes it.
#[test]
fn links_never_lead_to_the_host() {
    let host = folder_in_memory();
    let file = host.path().join("host-file");
    fs::write(&file, "PasswordAuthentication yes # of the host\n").unwrap();
    for up in ["", "/../../../.."] {
        let target = format!("{up}{}", file.display());
        let disk = Hostile::default().disk(|root| linked(root, &target));
        let converted = timed(&disk, &[]);
        println!("{}", converted.said());
        if let Some(raw) = &converted.raw {
            assert_eq!(memchr::memmem::find_iter(raw, b"of the host").count(), 0);
        }
        // A folder of the guest's configuration that is a link out of it.
        let disk = Hostile::default().disk(|root| {
            fs::rename(root.join("etc/ssh"), root.join("etc/ssh-old")).unwrap();
            symlink(format!("{up}{}", host.path().display()), root.join("etc/ssh")).unwrap();
        });
        let converted = timed(&disk, &[]);
        println!("{}", converted.said());
    }
    assert_eq!(common::names(host.path()), ["host-file"]);
    assert_eq!(fs::read(&file).unwrap(), b"PasswordAuthentication yes # of the host\n");
}

#[test]
fn links_that_lead_nowhere_make_nothing() {
    let chain = |root: &Path| {
        linked(root, "chain-0");
        for i in 0..45 {
            symlink(format!("chain-{}", i + 1), root.join(format!("etc/ssh/chain-{i}"))).unwrap();
        }
        fs::write(root.join("etc/ssh/chain-45"), "Port 22\n").unwrap();
    };
    let looped = |root: &Path| {
        linked(root, "other");
        symlink("sshd_config", root.join("etc/ssh/other")).unwrap();
    };
    let own = |root: &Path| linked(root, "sshd_config/sshd_config");
    let dangling = |root: &Path| linked(root, "/etc/nothing/here");
    let cases: [(&str, Change<'_>); 4] =
        [("chain", &chain), ("loop", &looped), ("itself", &own), ("dangling", &dangling)];
    for (what, change) in cases {
        let disk = Hostile::default().disk(change);
        let converted = timed(&disk, &[]);
        println!("{what}: {}", converted.said());
        match converted.raw {
            Some(_) => {
                assert_prepared(&disk, &converted);
                assert_eq!(content(&converted, "/etc/nothing/here"), None);
            }
            None => {
                exits(&converted.output, 65);
                let said = stderr(&converted.output);
                assert!(said.contains("/etc/ssh/sshd_config"), "{what}: {said}");
            }
        }
    }
}

// What is no file -------------------------------------------------------------------------------

#[test]
fn devices_and_folders_are_not_written() {
    // debugfs makes device nodes without being root.
    let node = |line: &str| ["cd /etc/ssh", "rm sshd_config", line].map(str::to_owned);
    for line in ["mknod sshd_config b 8 0", "mknod sshd_config c 1 5", "mknod sshd_config p"] {
        let lines = node(line);
        let hostile = Hostile::default().with(&lines.each_ref().map(String::as_str));
        let disk = hostile.disk(|_| {});
        let converted = timed(&disk, &[]);
        println!("{line}: {}", converted.said());
        if let Some(raw) = &converted.raw {
            let folder = folder_in_memory();
            let image = folder.path().join("out.img");
            fs::write(&image, raw).unwrap();
            fsck(&image);
            let stat = debugfs(&image, "stat /etc/ssh/sshd_config");
            assert!(!stat.contains("Type: regular"), "{stat}");
        } else {
            exits(&converted.output, 65);
            assert!(stderr(&converted.output).contains("/etc/ssh/sshd_config"));
        }
    }
    let disk = Hostile::default().disk(|root| {
        fs::remove_file(root.join(CONFIG)).unwrap();
        fs::create_dir(root.join(CONFIG)).unwrap();
        fs::write(root.join(CONFIG).join("inside"), "kept").unwrap();
    });
    let converted = timed(&disk, &[]);
    println!("folder: {}", converted.said());
    match &converted.raw {
        Some(_) => assert_prepared(&disk, &converted),
        None => exits(&converted.output, 65),
    }
}

#[test]
fn marked_files_are_refused_by_name() {
    let flags = [("0x10", "immutable"), ("0x20", "append-only")];
    for (flag, word) in flags {
        let set = format!("sif /etc/ssh/sshd_config flags 0x800{}", &flag[2..].to_owned());
        let disk = Hostile::default().with(&[&set]).disk(|_| {});
        refused(word, &disk, &["/etc/ssh/sshd_config", word, "chattr"]);
        let converted = timed(&disk, &["--skip-edit", "sshd-keys-only"]);
        exits(&converted.output, 0);
        let set = format!("sif /root/.ssh flags 0x800{}", &flag[2..].to_owned());
        let disk = Hostile::default().with(&[&set]).disk(|_| {});
        refused(word, &disk, &["/root/.ssh", word, "chattr"]);
    }
}

#[test]
fn the_other_name_of_a_file_keeps_its_content() {
    for arguments in ["-t ext4", "-t ext3", "-t ext2", "-t ext4 -O inline_data"] {
        let disk = Hostile::on(arguments).disk(|root| {
            fs::hard_link(root.join(CONFIG), root.join("usr/share/doc/same")).unwrap()
        });
        let converted = prepared(arguments, &disk);
        assert!(keys_only(&converted, "/etc/ssh/sshd_config"));
        let other = content(&converted, "/usr/share/doc/same").unwrap();
        // debugfs hands a file inside an inode out with the rest of its place.
        assert_eq!(
            other.trim_end_matches('\0'),
            "Port 22\nPasswordAuthentication yes\n",
            "{arguments}"
        );
    }
}

// Names and sizes -------------------------------------------------------------------------------

#[test]
fn names_of_all_kinds() {
    let names: [&[u8]; 6] = [
        b"new\nline",
        b"\xff\xfe not UTF-8",
        &[b'x'; 255],
        b"-rf *; $(reboot)",
        b"\x1b[31mred\x07",
        "ä\u{202e}gnp".as_bytes(),
    ];
    let disk = Hostile::default().disk(|root| {
        for name in names {
            // Below /tmp all is removed; in these folders edits look at each name.
            for folder in ["tmp", "etc", "etc/ssh", "usr/lib/systemd/system", "root", "home"] {
                fs::write(root.join(folder).join(OsStr::from_bytes(name)), "MARKERTMP").unwrap();
            }
            fs::create_dir_all(root.join("tmp/sub")).unwrap();
            fs::create_dir(root.join("tmp/sub").join(OsStr::from_bytes(name))).unwrap();
        }
    });
    let converted = prepared("names", &disk);
    let left = listing(converted.raw.as_ref().unwrap());
    assert_eq!(left.keys().filter(|path| path.starts_with("/tmp")).count(), 1);
    let said = converted.said();
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said:?}");
}

#[test]
fn homes_with_odd_names_lose_their_secrets() {
    let name: &[u8] = b"\xff home";
    let disk = Hostile::default().disk(|root| {
        let home = root.join("home").join(OsStr::from_bytes(name));
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::write(home.join(".ssh/authorized_keys"), "ssh-rsa MARKERODD\n").unwrap();
        fs::write(home.join(".bash_history"), "MARKERODD\n").unwrap();
    });
    let converted = timed(&disk, &[]);
    println!("{}", converted.said());
    match &converted.raw {
        Some(raw) => {
            let marker = memchr::memmem::find_iter(raw, b"MARKERODD").count();
            assert!(marker == 0 || !converted.warnings().is_empty(), "{marker}");
            assert_eq!(marker, 0, "{}", converted.warnings());
        }
        None => exits(&converted.output, 65),
    }
}

#[test]
fn a_file_of_a_tebibyte_is_not_read() {
    for path in ["etc/fstab.d", "etc/ssh/sshd_config", "etc/shadow", "etc/passwd", "etc/hostname"] {
        let disk = Hostile { arguments: "-t ext4 -b 4096", ..Hostile::default() }.disk(|root| {
            let file =
                fs::OpenOptions::new().create(true).append(true).open(root.join(path)).unwrap();
            file.set_len(1 << 40).unwrap();
        });
        let folder = folder_in_memory();
        common::guest::vdi(&folder.path().join("disk.vdi"), &disk.bytes);
        let began = Instant::now();
        let mut time = judge("time", "time");
        time.args(["-f", "%M", common::PROGRAM, "disk.vdi", "-C", "none", "-o", "out.img"]);
        let output = time.current_dir(folder.path()).output().unwrap();
        let said = stderr(&output);
        println!("{path}: {said}");
        assert!(matches!(output.status.code(), Some(0 | 65)), "{path}: {said}");
        assert!(began.elapsed() < PATIENCE, "{path}");
        let kib: u64 = said.lines().last().unwrap().trim().parse().unwrap();
        assert!(kib < 300 << 10, "{path}: {kib} KiB");
    }
}

/// A directory of `count` names, put together as the content of a file, because making them one by
/// one takes minutes: mke2fs looks at all names for each new one. They are names of two files.
fn large_folder(count: usize, name: impl Fn(usize) -> String) -> GuestDisk {
    let block = 4096;
    let entry = |ino: u32, kind: u8, name: &str| {
        let mut bytes = ino.to_le_bytes().to_vec();
        let len = (8 + name.len()).next_multiple_of(4);
        bytes.extend((len as u16).to_le_bytes());
        bytes.extend([name.len() as u8, kind]);
        bytes.extend(name.as_bytes());
        bytes.resize(len, 0);
        bytes
    };
    let content = |own: u32, parent: u32, files: [u32; 2]| {
        let mut blocks = Vec::new();
        let mut now: Vec<u8> = [entry(own, 2, "."), entry(parent, 2, "..")].concat();
        let mut last = now.len() - 12;
        for i in 0..count {
            let new = entry(files[i % 2], 1, &name(i));
            if now.len() + new.len() > block {
                let len = (block - last) as u16;
                now[last + 4..last + 6].copy_from_slice(&len.to_le_bytes());
                now.resize(block, 0);
                blocks.append(&mut now);
            }
            last = now.len();
            now.extend(new);
        }
        let len = (block - last) as u16;
        now[last + 4..last + 6].copy_from_slice(&len.to_le_bytes());
        now.resize(block, 0);
        blocks.append(&mut now);
        blocks
    };
    let folder = folder_in_memory();
    let image = folder.path().join("large.img");
    let make = |content: &[u8]| {
        let files = folder.path().join("tree");
        let _ = fs::remove_dir_all(&files);
        tree(&files, FSTAB);
        fs::remove_dir_all(files.join("usr/lib/systemd/system")).unwrap();
        fs::write(files.join("usr/lib/systemd/system"), content).unwrap();
        let arguments = "-t ext4 -b 4096 -O ^metadata_csum";
        fs::write(&image, file_system(folder.path(), arguments, &files, 32)).unwrap();
    };
    make(&content(1, 1, [1, 1]));
    let ino = |path: &str| -> u32 {
        let text = debugfs(&image, &format!("stat {path}"));
        text.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let system = "/usr/lib/systemd/system";
    let files = [ino("/usr/share/doc/000"), ino("/usr/share/doc/readme")];
    make(&content(ino(system), ino("/usr/lib/systemd"), files));
    let mut command: Command = judge("debugfs", "e2fsprogs");
    let set = format!("sif {system} mode 040755");
    command.args(["-w", "-R", &set]).arg(&image).output().unwrap();
    // It counts the names anew, and makes the hash tree.
    let output = judge("e2fsck", "e2fsprogs").arg("-fyD").arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    fsck(&image);
    assert!(debugfs(&image, &format!("ls -p {system}")).lines().count() > count);
    GuestDisk::bare(fs::read(&image).unwrap())
}

#[test]
fn a_folder_of_100_000_names() {
    // In the first only the names are looked at; of the second an edit reads every file.
    for end in ["wants", "service"] {
        let disk = large_folder(100_000, |i| format!("ssh-{i:05}.{end}"));
        let converted = timed(&disk, &[]);
        println!("{end}: {}", converted.said());
        match &converted.raw {
            Some(_) => assert_prepared(&disk, &converted),
            None => {
                exits(&converted.output, 65);
                assert_eq!(end, "service");
            }
        }
    }
}

#[test]
fn tables_of_100_000_lines() {
    let disk = Hostile { mib: 48, ..Hostile::default() }.disk(|root| {
        let line = |i: usize| format!("/dev/sdb{i} /mnt/{i} ext4 nofail 0 0\n");
        let lines: String = (0..100_000).map(line).collect();
        fs::write(root.join("etc/fstab"), format!("{FSTAB}{lines}")).unwrap();
        let lines: String = (0..100_000).map(|i| format!("Match User u{i}\n")).collect();
        fs::write(root.join(CONFIG), lines).unwrap();
        let line = |i: usize| format!("u{i}:x:{i}:{i}::/home/u{i}:/bin/sh\n");
        let lines: String = (0..100_000).map(line).collect();
        fs::write(root.join("etc/passwd"), lines).unwrap();
    });
    let began = Instant::now();
    let converted = timed(&disk, &[]);
    let said = converted.said();
    println!("{:?} {}", began.elapsed(), said.chars().take(2000).collect::<String>());
    assert!(matches!(converted.output.status.code(), Some(0 | 65)));
}

#[test]
fn folders_in_each_other() {
    for levels in [100, 500] {
        let disk = Hostile::default().disk(|root| {
            let mut inside = root.join("tmp");
            inside.extend((0..levels).map(|_| "d"));
            fs::create_dir_all(&inside).unwrap();
            fs::write(inside.join("bottom"), "MARKERDEEP").unwrap();
        });
        let converted = timed(&disk, &[]);
        println!("{levels}: {}", converted.said());
        match &converted.raw {
            Some(raw) => {
                assert_prepared(&disk, &converted);
                assert_eq!(memchr::memmem::find_iter(raw, b"MARKERDEEP").count(), 0);
            }
            None => {
                assert!(levels > 128);
                exits(&converted.output, 65);
                assert!(stderr(&converted.output).contains("128 folders"));
            }
        }
    }
}
