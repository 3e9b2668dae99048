//! Guests on disks of every layout are prepared inside a conversion, judged by e2fsprogs.

mod common;
#[path = "common/work.rs"]
mod work;

use std::fs;
use std::time::{Duration, Instant};

use common::ext::{debugfs, fsck};
use common::guest::{
    Converted, GuestDisk, Part, assert_prepared, convert, convert_in, file_system, partitioned,
    root, tree, vdi,
};
use common::lvm::{Layout, Logical, linear, on_one_disk, striped, volume_group};
use common::{exits, folder, folder_in_memory, judge, stratus};

/// Small blocks and small groups: many copies of the superblock.
const EXT4: &str = "-t ext4 -b 1024 -g 2048";
const EXT3: &str = "-t ext3 -b 1024 -g 2048";

fn prepared(what: &str, disk: &GuestDisk) -> Converted {
    let converted = convert(&disk.bytes, &[]);
    println!("{what}: {}", converted.said());
    assert_prepared(disk, &converted);
    let mounts = converted.record["guest"]["mounts"].as_array().unwrap();
    let mut places: Vec<_> = mounts.iter().map(|mount| mount["at"].as_str().unwrap()).collect();
    places.sort_unstable();
    let mut expected: Vec<_> = disk.volumes.iter().map(|(at, _)| *at).collect();
    expected.sort_unstable();
    assert_eq!(places, expected, "{what}");
    converted
}

/// A file that is written and then gets another name, in one conversion.
#[test]
fn what_is_written_and_renamed() {
    let folder = folder_in_memory();
    let files = folder.path().join("tree");
    tree(&files, "UUID=x / ext4 defaults 0 1\n");
    let scripts = files.join("etc/sysconfig/network-scripts");
    fs::create_dir_all(&scripts).unwrap();
    let text = "DEVICE=enp0s3\nHWADDR=08:00:27:00:00:01\nIPADDR=10.0.0.5\nONBOOT=yes\n";
    // Small enough for the inode, and more than a block.
    for text in [text.to_owned(), format!("{text}{}", "# comment\n".repeat(300))] {
        fs::write(scripts.join("ifcfg-enp0s3"), &text).unwrap();
        for flavour in [EXT4, EXT3, "-t ext2", "-t ext4 -b 4096", "-t ext4 -O inline_data -I 1024"]
        {
            let bytes = file_system(folder.path(), flavour, &files, 16);
            let converted = convert(&GuestDisk::bare(bytes).bytes, &[]);
            exits(&converted.output, 0);
            let image = folder.path().join("out.img");
            fs::write(&image, converted.raw.unwrap()).unwrap();
            fsck(&image);
            let place = "/etc/sysconfig/network-scripts";
            assert_eq!(debugfs(&image, &format!("cat {place}/ifcfg-enp0s3")), "", "{flavour}");
            let new = debugfs(&image, &format!("cat {place}/ifcfg-eth0"));
            let lines = new.lines().filter(|line| !line.starts_with('#'));
            let expected = ["ONBOOT=yes", "DEVICE=eth0", "BOOTPROTO=dhcp"];
            assert_eq!(lines.collect::<Vec<_>>(), expected, "{flavour}");
            let kept = new.replace("#stratus: ", "");
            assert_eq!(kept, format!("{text}DEVICE=eth0\nBOOTPROTO=dhcp\n"), "{flavour}");
        }
    }
}

// Layouts ---------------------------------------------------------------------------------------

#[test]
fn a_file_system_on_the_disk_itself() {
    let folder = folder_in_memory();
    prepared(
        "ext4",
        &GuestDisk::bare(root(folder.path(), EXT4, "/dev/sda / ext4 defaults 0 1\n", 16)),
    );
    prepared("ext2", &GuestDisk::bare(root(folder.path(), "-t ext2", "/dev/hda / ext2\n", 16)));
}

#[test]
fn one_primary_partition() {
    let folder = folder_in_memory();
    let bytes = root(folder.path(), EXT4, "/dev/sda1 / ext4 defaults 0 1\n", 16);
    for start in [63, 2048, 4001] {
        let part = Part { start, line: "type=83, bootable", ..Part::new("/", &bytes) };
        prepared("primary", &partitioned(folder.path(), "dos", &[part]));
    }
}

#[test]
fn logical_partitions() {
    let folder = folder_in_memory();
    let fstab = "/dev/sda6 / ext3 defaults 0 1\n/dev/sda5 /home ext3\n/dev/sda1 none swap\n";
    let files = folder.path().join("tree");
    tree(&files, fstab);
    let home = folder.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::rename(files.join("home/bob"), home.join("bob")).unwrap();
    let home = file_system(folder.path(), EXT3, &home, 8);
    let root = file_system(folder.path(), EXT3, &files, 16);
    let swap = swap(2 << 20);
    let extended = vec![0; 40 << 20];
    let parts = [
        Part { line: "type=82", ..Part::new("", &swap) },
        Part { line: "type=5", ..Part::new("", &extended) },
        Part { number: 5, ..Part::new("/home", &home) },
        Part { number: 6, ..Part::new("/", &root) },
    ];
    prepared("logical", &partitioned(folder.path(), "dos", &parts));
}

/// A page with the signature that `mkswap` writes.
fn swap(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    bytes[1028..1032].copy_from_slice(&(len as u32 / 4096 - 1).to_le_bytes());
    bytes[4086..4096].copy_from_slice(b"SWAPSPACE2");
    bytes
}

#[test]
fn gpt_and_a_damaged_first_header() {
    let folder = folder_in_memory();
    let bytes = root(folder.path(), EXT4, "/dev/sda1 / ext4\n", 16);
    let mut disk = partitioned(folder.path(), "gpt", &[Part::new("/", &bytes)]);
    prepared("gpt", &disk);
    disk.bytes[512 + 0x48] ^= 0xff;
    let converted = prepared("gpt, damaged header", &disk);
    assert!(converted.warnings().to_lowercase().contains("gpt"), "{}", converted.warnings());
}

/// The guest's tree in pieces, each in a file system of its own. What is cut out stays as an empty
/// folder in the tree around it.
fn pieces(
    folder: &std::path::Path,
    fstab: &str,
    places: &[(&'static str, &str)],
    arguments: &str,
) -> Vec<(&'static str, Vec<u8>)> {
    let files = folder.join("tree");
    tree(&files, fstab);
    let mut made = Vec::new();
    for (at, more) in places {
        let piece = match *at {
            "/" => files.clone(),
            at => {
                let piece = folder.join(format!("piece{}", at.replace('/', "-")));
                fs::rename(files.join(&at[1..]), &piece).unwrap();
                fs::create_dir(files.join(&at[1..])).unwrap();
                piece
            }
        };
        made.push((*at, file_system(folder, &format!("{arguments} {more}"), &piece, 16)));
    }
    made
}

const UUIDS: [&str; 3] = [
    "11111111-2222-3333-4444-555555555555",
    "66666666-7777-8888-9999-aaaaaaaaaaaa",
    "bbbbbbbb-cccc-dddd-eeee-ffffffffffff",
];

#[test]
fn boot_usr_var_and_home_on_partitions_of_their_own() {
    let folder = folder_in_memory();
    let fstab = format!(
        "# what is where\nUUID={} / ext4 errors=remount-ro 0 1\nUUID={} /boot ext4 defaults 0 2\n\
         LABEL=usr /usr ext4 defaults 0 2\n/dev/sda4 /var ext4 defaults 0 2\n\
         PARTUUID={} /home ext4 defaults 0 2\n/dev/sda6 none swap sw 0 0\n\
         proc /proc proc defaults 0 0\n",
        UUIDS[0], UUIDS[1], UUIDS[2]
    );
    let (boot, root) = (format!("-U {}", UUIDS[1]), format!("-U {}", UUIDS[0]));
    let places =
        [("/boot", boot.as_str()), ("/usr", "-L usr"), ("/var", ""), ("/home", ""), ("/", &root)];
    let made = pieces(folder.path(), &fstab, &places, EXT4);
    let bytes = |at: &str| made.iter().find(|(place, _)| *place == at).unwrap().1.as_slice();
    let swap = swap(2 << 20);
    let uuid = format!("uuid={}", UUIDS[2]);
    let parts = [
        Part::new("/boot", bytes("/boot")),
        Part::new("/", bytes("/")),
        Part::new("/usr", bytes("/usr")),
        Part::new("/var", bytes("/var")),
        Part { line: &uuid, ..Part::new("/home", bytes("/home")) },
        Part::new("", &swap),
    ];
    let disk = partitioned(folder.path(), "gpt", &parts);
    let converted = prepared("partitions", &disk);
    let edits = converted.edits();
    assert!(edits.iter().any(|(_, path)| path == "/home/bob/.bash_history"), "{edits:?}");
    assert!(edits.iter().any(|(_, path)| path == "/var/log/wtmp"), "{edits:?}");
}

fn on_lvm(what: &str, volumes: &[Logical], layout: &Layout, arguments: &str) {
    let folder = folder_in_memory();
    let fstab = "/dev/mapper/vg0-root / ext4 defaults 0 1\n/dev/vg0/var /var ext4 defaults 0 2\n\
                 LABEL=boot /boot ext4 defaults 0 2\n/dev/mapper/vg0-home /home ext4\n";
    let places = [("/boot", "-L boot"), ("/var", ""), ("/home", ""), ("/", "")];
    let made = pieces(folder.path(), fstab, &places, arguments);
    let bytes = |at: &str| made.iter().find(|(place, _)| *place == at).unwrap().1.as_slice();
    let mut group = volume_group("vg0", volumes, layout);
    let logical = [("root", "/"), ("var", "/var"), ("home", "/home")];
    logical.iter().for_each(|(name, at)| group.fill(name, bytes(at)));
    let mut parts: Vec<(u8, &[u8])> =
        group.disks.iter().map(|disk| (0x8e, disk.as_slice())).collect();
    parts.push((0x83, bytes("/boot")));
    let (raw, starts) = on_one_disk(&parts);
    let mut runs = vec![("/boot", vec![(starts[parts.len() - 1], bytes("/boot").len())])];
    for (name, at) in logical {
        let place = |run: &common::lvm::Run| (starts[run.on] + run.at, run.len);
        runs.push((at, group.runs[name].iter().map(place).collect()));
    }
    prepared(what, &GuestDisk { bytes: raw, volumes: runs });
}

#[test]
fn logical_volumes_that_lie_across_each_other() {
    let volumes = [linear("root", 16), linear("var", 16), linear("home", 16)];
    on_lvm("linear", &volumes, &Layout { piece: 8, ..Layout::default() }, EXT4);
    on_lvm("linear, two disks", &volumes, &Layout { physical: 2, ..Layout::default() }, EXT4);
}

#[test]
fn striped_logical_volumes() {
    let volumes = [striped("root", 16, 2), linear("var", 16), striped("home", 16, 2)];
    on_lvm("striped", &volumes, &Layout { physical: 2, ..Layout::default() }, EXT3);
}

/// What an administrator finds in a guest that was prepared. The scripts take only what is root's.
#[test]
fn the_context_scripts_are_installed() {
    let folder = folder_in_memory();
    let bytes = root(folder.path(), EXT4, "/dev/sda / ext4\n", 16);
    let converted = convert(&bytes, &[]);
    exits(&converted.output, 0);
    assert_eq!(converted.record["guest"]["context"], true);
    let files = common::guest::listing(converted.raw.as_ref().unwrap());
    let unit = |name: &str| format!("/etc/systemd/system/{name}.service");
    for (path, mode) in [
        ("/usr/bin/stratuslab-one-context", 0o10_0755),
        ("/usr/bin/stratuslab-random-password", 0o10_0755),
        ("/usr/bin/stratus-random-password", 0o12_0777),
        ("/etc/stratuslab/stratuslab-one-context.cfg", 0o10_0644),
        ("/etc/stratuslab/conf.d/01-password.context", 0o10_0644),
        ("/mnt/stratuslab", 0o4_0755),
        (&unit("stratuslab-one-context-early"), 0o10_0644),
        (&unit("multi-user.target.wants/stratuslab-one-context-early"), 0o12_0777),
    ] {
        let (found, uid, gid, _) = &files[std::path::Path::new(path)];
        assert_eq!((*found, *uid, *gid), (mode, 0, 0), "{path}: {found:o}");
    }
    // The scripts make the keys: no unit for that alone.
    let keys = "/etc/systemd/system/stratus-ssh-hostkeys.service";
    assert!(!files.contains_key(std::path::Path::new(keys)));
    assert!(!files.contains_key(std::path::Path::new("/etc/ssh/ssh_host_rsa_key")));
}

// Once is enough, and always the same -----------------------------------------------------------

fn digests(converted: &Converted) -> String {
    converted.record["raw"]["digests"].to_string()
}

#[test]
fn what_was_prepared_is_not_changed_again() {
    let folder = folder_in_memory();
    for flavour in [EXT4, "-t ext4 -b 4096", "-t ext3 -b 1024", "-t ext2", "-t ext4 -O inline_data"]
    {
        let bytes = root(folder.path(), flavour, "/dev/sda1 / ext4 defaults 0 1\n", 24);
        let disk = partitioned(folder.path(), "dos", &[Part::new("/", &bytes)]);
        for arguments in [&[][..], &["--edit", "free-space-zeroed"]] {
            let first = convert(&disk.bytes, arguments);
            exits(&first.output, 0);
            let again = folder_in_memory();
            fs::write(again.path().join("raw.img"), first.raw.as_ref().unwrap()).unwrap();
            let mut convert = judge("qemu-img", "qemu-utils");
            convert.args(["convert", "-f", "raw", "-O", "vdi", "raw.img", "disk.vdi"]);
            assert!(convert.current_dir(again.path()).status().unwrap().success());
            fs::remove_file(again.path().join("raw.img")).unwrap();
            let second = convert_in(again.path(), arguments);
            exits(&second.output, 0);
            assert_eq!(digests(&first), digests(&second), "{flavour}: {:?}", second.edits());
            assert!(first.raw == second.raw, "{flavour}");
            // qemu-img stores blocks of zeros in a VDI: to empty them is work that shows nowhere.
            let done = second.edits().into_iter().filter(|(name, _)| name != "free-space-zeroed");
            assert_eq!(done.collect::<Vec<_>>(), [], "{flavour}");
        }
    }
}

#[test]
fn neither_clock_nor_zone_nor_mask_shows_in_the_image() {
    let folder = folder_in_memory();
    let bytes = root(folder.path(), EXT4, "/dev/sda / ext4\n", 24);
    let plain = convert(&bytes, &[]);
    exits(&plain.output, 0);
    let other = folder_in_memory();
    vdi(&other.path().join("disk.vdi"), &bytes);
    let program = common::PROGRAM;
    let line = format!(
        "umask 077; TZ=Pacific/Auckland LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 \
         faketime -f +1h {program} disk.vdi -C none -o out.img --threads 1"
    );
    drop(judge("faketime", "faketime"));
    let mut shell = judge("sh", "dash");
    let output = shell.args(["-c", &line]).current_dir(other.path()).output().unwrap();
    exits(&output, 0);
    assert!(plain.raw.as_deref() == Some(&fs::read(other.path().join("out.img")).unwrap()));
}

#[test]
fn a_killed_run_is_continued_to_the_same_image() {
    let folder = folder();
    let bytes = root(folder.path(), "-t ext4", "/dev/sda1 / ext4\n", 300);
    let disk = partitioned(folder.path(), "dos", &[Part::new("/", &bytes)]);
    vdi(&folder.path().join("disk.vdi"), &disk.bytes);
    let arguments = ["disk.vdi", "-o", "out.gz", "--checkpoint", "4M", "--progress", "none"];
    let start = |out: &str| {
        let mut command = stratus(folder.path());
        command.args(arguments.map(|word| if word == "out.gz" { out } else { word }));
        command
    };
    let began = Instant::now();
    exits(&start("whole.gz").output().unwrap(), 0);
    let whole = began.elapsed();
    let expected = fs::read(folder.path().join("whole.gz")).unwrap();
    let (mut killed, mut kept) = (0, 0);
    for signal in ["-KILL", "-TERM"] {
        for tenth in 0..10 {
            let mut child = start("out.gz")
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(whole.mul_f64(f64::from(tenth) / 10.0) + Duration::from_millis(2));
            let mut kill = judge("kill", "procps");
            let _ = kill.args([signal, &child.id().to_string()]).output();
            killed += usize::from(!child.wait().unwrap().success());
            kept += usize::from(folder.path().join(".out.gz.stratus").exists());
            exits(&start("out.gz").output().unwrap(), 0);
            assert!(fs::read(folder.path().join("out.gz")).unwrap() == expected);
            for name in common::names(folder.path()) {
                if name.contains("out.gz") {
                    fs::remove_file(folder.path().join(name)).unwrap();
                }
            }
        }
    }
    work::say(&format!("{killed} of 20 runs were killed, {kept} left a journal"));
    assert!(killed >= 10, "only {killed} of 20 runs were killed");
}

// What it costs ---------------------------------------------------------------------------------

/// Seconds and MiB of a run, by `/usr/bin/time`.
fn cost(folder: &std::path::Path, arguments: &[&str]) -> (f64, u64) {
    let mut time = judge("time", "time");
    time.args(["-f", "%e %M", common::PROGRAM]).args(arguments).current_dir(folder);
    let output = time.output().unwrap();
    exits(&output, 0);
    let text = common::stderr(&output);
    let mut words = text.lines().last().unwrap().split_whitespace();
    let seconds = words.next().unwrap().parse().unwrap();
    (seconds, words.next().unwrap().parse::<u64>().unwrap() >> 10)
}

#[test]
fn a_guest_costs_a_second_and_64_mib_at_most() {
    let folder = folder();
    let files = folder.path().join("tree");
    tree(&files, "/dev/sda / ext4\n");
    for i in 0..5000 {
        let inside = files.join(format!("usr/share/pkg{}", i / 100));
        fs::create_dir_all(&inside).unwrap();
        fs::write(inside.join(format!("file-{i}")), i.to_string().repeat(i % 700)).unwrap();
    }
    let image = folder.path().join("large.img");
    common::ext::make(&image, "-t ext4", &files, 2048);
    let _alone = work::alone();
    let small = common::testdata("mydisk.vdi");
    for input in [small.to_str().unwrap(), "large.img"] {
        // The conversion itself is no part of it: --dry-run looks into the guest and writes nothing.
        let arguments = [input, "--dry-run"];
        let run =
            |more: &str| cost(folder.path(), &[arguments[0], arguments[1], "--context", more]);
        // The best of three: others use the machine, too.
        let best = |more: &str| {
            (0..3)
                .map(|_| run(more))
                .fold((f64::MAX, u64::MAX), |a, b| (a.0.min(b.0), a.1.min(b.1)))
        };
        let ((without, base), (with, peak)) = (best("off"), best("require"));
        let (seconds, mib) = (with - without, peak.saturating_sub(base));
        work::say(&format!("{input}: the guest took {seconds:.2} s and {mib} MiB"));
        // Without optimization it is allowed three times as long.
        let most = if cfg!(debug_assertions) { 3.0 } else { 1.0 };
        assert!(seconds < most, "{seconds} s");
        assert!(mib <= 64, "{mib} MiB");
    }
}
