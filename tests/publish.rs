//! The whole pipeline, from a disk to an entry in a marketplace: what it leaves, what it does the
//! second time, what is left when it is killed.

mod common;
#[path = "servers/mod.rs"]
mod servers;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use common::vdi::{Block, Vdi};
use common::{PUBLISH, folder, judge, noise, testdata};
use sha2::{Digest, Sha256};

/// The program with the home `folder`.
fn publish(folder: &Path) -> Command {
    let mut command = Command::new(PUBLISH);
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", folder).env("XDG_CONFIG_HOME", folder.join("no-config"));
    command.stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    publish(folder).args(args).output().unwrap()
}

fn good(output: Output) -> serde_json::Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or(serde_json::Value::Null)
}

/// All files below `root`: name, and SHA-256.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            found.insert(name, sha256(&path));
        }
    }
    found
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn market(folder: &Path) -> PathBuf {
    folder.join(".local/share/stratus/market")
}

/// The only file in a folder whose name ends so.
fn only(root: &Path, end: &str) -> PathBuf {
    let found: Vec<_> = tree(root).into_keys().filter(|name| name.ends_with(end)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    root.join(&found[0])
}

/// A disk of 24 MiB, 8 of them noise.
fn disk(path: &Path) {
    let vdi = (0..24).step_by(3).fold(Vdi::new(24 << 20, 1 << 20), |vdi, block| {
        vdi.with(block, Block::Data(noise(block as u64, 1 << 20)))
    });
    fs::write(path, vdi.bytes()).unwrap();
}

#[test]
fn the_first_command_makes_everything_and_the_second_only_looks() {
    let folder = folder();
    let folder = folder.path();
    let disk = testdata("mydisk.vdi").display().to_string();
    let first = good(run(folder, &["--marketplace", &disk, "--json"]));
    let identifier = first["published"]["manifest"]["identifier"].as_str().unwrap().to_owned();
    assert_eq!(first["published"]["entry"]["already"], false);

    let key = folder.join(".local/share/stratus/endorser.pem");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o7777, 0o600);
    let repository = market(folder).join("repo").join(&identifier);
    let image = repository.join("mydisk.img.gz");
    assert_eq!(
        fs::metadata(&image).unwrap().ino(),
        fs::metadata(folder.join("mydisk.img.gz")).unwrap().ino(),
        "the image is in the store a second time"
    );
    let mut sums = judge("sha256sum", "coreutils");
    sums.current_dir(&repository).args(["-c", "--quiet", "mydisk.img.gz.sha256"]);
    assert!(sums.status().unwrap().success());
    // Others verify the entry, and the manifest beside the image is the same.
    let entry = only(&market(folder).join("metadata").join(&identifier), ".xml");
    let mut xmlsec = judge("xmlsec1", "xmlsec1");
    let verified = xmlsec.args(["--verify", "--insecure"]).arg(&entry).output().unwrap();
    assert!(verified.status.success(), "{verified:?}");
    assert_eq!(sha256(&entry), sha256(&repository.join("mydisk.xml")));
    assert_eq!(sha256(&entry), sha256(&folder.join("mydisk.xml")));
    let entry = entry.display().to_string();
    good(run(folder, &["metadata", "verify", &entry, image.to_str().unwrap()]));

    let before = tree(folder);
    let began = Instant::now();
    let second = good(run(folder, &["--marketplace", &disk, "--json"]));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(second["published"]["already"], true);
    assert_eq!(second["published"]["entry"]["already"], true);
    assert_eq!(second["published"]["manifest"], first["published"]["manifest"]);
    let state = ".mydisk.img.gz.stratus/published";
    let without = |mut tree: BTreeMap<String, String>| {
        tree.remove(state);
        tree
    };
    assert_eq!(without(before), without(tree(folder)));
}

#[test]
fn a_changed_option_does_again_what_it_affects() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    let args = ["--marketplace", "--repository", "store", "a.vdi", "--no-context", "--json"];
    let base = ["--location", "https://example.org/a.img.gz"];
    let all = |title: &'static str| [&args[..], &base, &["--title", title]].concat();
    let first = good(run(folder, &all("one")));
    let stored = |name: &str| fs::metadata(folder.join("store").join(name)).unwrap();
    let (image, manifest) = (stored("a.img.gz"), stored("a.xml"));
    later_than(&first);

    let second = good(run(folder, &all("two")));
    assert_eq!(second["published"]["already"], true, "{second}");
    assert_eq!(second["published"]["entry"]["already"], false, "{second}");
    assert_eq!(stored("a.img.gz").ino(), image.ino(), "the image was stored again");
    assert_ne!(stored("a.xml").ino(), manifest.ino(), "the manifest was not");
    // Both entries are there, and the first answer comes again for the first options.
    let entries = tree(&market(folder).join("metadata"));
    assert_eq!(entries.len(), 2, "{entries:?}");

    // What is gone is put back.
    fs::remove_file(folder.join("store/a.img.gz")).unwrap();
    let third = good(run(folder, &all("two")));
    assert_eq!(third["published"]["already"], false, "{third}");
    assert_eq!(sha256(&folder.join("store/a.img.gz")), sha256(&folder.join("a.img.gz")));
}

/// Signatures tell seconds: waits until the next one will be later.
fn later_than(result: &serde_json::Value) {
    let created = result["published"]["manifest"]["created"].as_str().unwrap();
    let created = stratus::metadata::date::epoch(created).unwrap();
    while SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() <= created {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_changed_image_is_not_published_under_its_record() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    good(run(folder, &["--repository", "first", "a.vdi", "--no-context", "--json"]));
    // The same length; another time. What is remembered is about another state of the file.
    let image = folder.join("a.img.gz");
    let mut bytes = fs::read(&image).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&image, bytes).unwrap();
    let output = run(folder, &["--repository", "second", "a.img.gz", "--json"]);
    assert_eq!(output.status.code(), Some(76), "{output:?}");
    assert!(tree(&folder.join("second")).is_empty());
    // Nor is a record that promises another disk.
    let record = folder.join("a.img.gz.json");
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    fs::remove_file(&image).unwrap();
    fs::copy(folder.join("first/a.img.gz"), &image).unwrap();
    text["raw"]["sha1"] = "a".repeat(40).into();
    fs::write(&record, text.to_string()).unwrap();
    let output = run(folder, &["--repository", "second", "a.img.gz"]);
    assert_eq!(output.status.code(), Some(76), "{output:?}");
    assert!(tree(&folder.join("second")).is_empty());
}

#[test]
fn what_was_stored_and_signed_before_is_not_believed_behind_something_newer() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    let args = ["--marketplace", "--repository", "store", "a.vdi", "--no-context", "--json"];
    let base = ["--location", "https://example.org/a.img.gz", "--title"];
    let titled = |title: &'static str| good(run(folder, &[&args[..], &base, &[title]].concat()));
    let title_of = |path: &Path| {
        let manifest = stratus::metadata::Manifest::from_xml(&fs::read(path).unwrap()).unwrap();
        manifest.title.unwrap()
    };
    // Titles of one length: their manifests have one, too.
    for title in ["AAAA", "BBBB", "AAAA"] {
        let result = titled(title);
        assert_eq!(result["published"]["entry"]["already"], false, "{result}");
        assert_eq!(title_of(&folder.join("store/a.xml")), title);
        assert_eq!(title_of(&folder.join("a.xml")), title);
        let entries = market(folder).join("metadata");
        let newest = tree(&entries).into_keys().max().unwrap();
        assert_eq!(title_of(&entries.join(newest)), title, "the newest entry is another one");
    }
}

#[test]
fn an_unread_object_is_read_before_it_is_signed() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    let args = ["--repository", "store", "a.vdi", "--no-context", "--json"];
    good(run(folder, &[&args[..], &["--verify", "none"]].concat()));
    let stored = folder.join("store/a.img.gz");
    let mut bytes = fs::read(&stored).unwrap();
    bytes[1000] ^= 1;
    fs::write(&stored, bytes).unwrap();
    let output = run(folder, &[&args[..], &["--marketplace"]].concat());
    assert_eq!(output.status.code(), Some(73), "{output:?}");
    assert!(tree(&market(folder)).is_empty());
}

/// At every moment: nothing unproved has a final name, and no entry is about what is not there.
fn nothing_false(folder: &Path, reference: &str) {
    let store = folder.join("store");
    for (name, sha256) in tree(&store) {
        if name == "a.img.gz" {
            assert_eq!(sha256, reference, "an unfinished image has its final name");
        }
    }
    let entries = tree(&market(folder).join("metadata"));
    let complete = entries.keys().filter(|name| name.ends_with(".xml")).count();
    if complete > 0 {
        assert_eq!(sha256(&store.join("a.img.gz")), reference, "an entry before the image");
        assert!(store.join("a.xml").exists(), "an entry before the manifest beside the image");
    }
}

#[test]
fn killed_anywhere_it_continues_and_comes_to_the_same_end() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    let args = [
        "--marketplace",
        "--repository",
        "store",
        "a.vdi",
        "--no-context",
        "--location",
        "https://example.org/a.img.gz",
        "--progress",
        "none",
        "-q",
        "--checkpoint",
        "1M",
    ];
    // What comes out undisturbed, and how long that takes.
    let quiet = common::folder();
    disk(&quiet.path().join("a.vdi"));
    let began = Instant::now();
    good(run(quiet.path(), &args));
    let takes = began.elapsed();
    let reference = sha256(&quiet.path().join("a.img.gz"));

    let points = if std::env::var_os("STRATUS_FULL").is_some() { 200 } else { 20 };
    let seed = u64::from(std::process::id()) ^ 0x9e37_79b9;
    println!("seed {seed}");
    let mut random = seed;
    for _ in 0..points {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = takes.mul_f64((random >> 11) as f64 / (1u64 << 53) as f64 * 1.1);
        let mut child = publish(folder).args(args).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        nothing_false(folder, &reference);
        // From the beginning, now and then.
        if random % 5 == 0 {
            for path in ["store", ".local", "a.img.gz", "a.img.gz.json", "a.xml"] {
                let path = folder.join(path);
                let _ = fs::remove_dir_all(&path);
                let _ = fs::remove_file(&path);
            }
        }
    }
    good(run(folder, &args));
    nothing_false(folder, &reference);
    assert_eq!(sha256(&folder.join("a.img.gz")), reference);
    let names: Vec<_> = tree(&folder.join("store")).into_keys().collect();
    assert_eq!(names, ["a.img.gz", "a.img.gz.sha256", "a.xml"]);
    let entries = tree(&market(folder).join("metadata"));
    assert_eq!(entries.len(), 1, "registered more than once: {entries:?}");
    assert_eq!(entries.values().next(), Some(&sha256(&folder.join("store/a.xml"))));
}

#[test]
fn the_password_is_nowhere() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    let secret = "correct-horse-battery";
    let keygen = ["keygen", "--name", "Jane", "--email", "jane@example.org", "-o", "jane.p12"];
    let output = publish(folder).args(keygen).env("STRATUS_PASSWORD", secret).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let server = servers::apache::start(servers::apache::Options::default());
    let url = server.url("basic/").to_string();
    let netrc = folder.join("netrc");
    let line =
        format!("machine 127.0.0.1 login {} password {}\n", servers::USER, servers::PASSWORD);
    fs::write(&netrc, line).unwrap();
    fs::set_permissions(&netrc, fs::Permissions::from_mode(0o600)).unwrap();
    let args = [
        "a.vdi",
        "--no-context",
        "-v",
        "--json",
        "--repository",
        &url,
        "--marketplace",
        "--p12-cert",
        "jane.p12",
    ];
    let mut said = String::new();
    for netrc in ["netrc", "gone"] {
        let output = publish(folder)
            .args(args)
            .env("STRATUS_PASSWORD", secret)
            .env("NETRC", folder.join(netrc))
            .output()
            .unwrap();
        said += &format!("{output:?}");
        assert_eq!(output.status.success(), netrc == "netrc", "{output:?}");
    }
    fs::remove_file(&netrc).unwrap();
    fs::remove_file(folder.join("jane.p12")).unwrap();
    for name in tree(folder).keys() {
        said += &String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap());
    }
    use base64ct::{Base64, Encoding};
    let basic =
        Base64::encode_string(format!("{}:{}", servers::USER, servers::PASSWORD).as_bytes());
    for secret in [secret, servers::PASSWORD, &basic] {
        assert!(!said.contains(secret), "{secret} can be seen");
    }
}

/// What an earlier run has proved may be damaged since. Nothing new is signed for it unread.
#[test]
fn nothing_new_is_signed_for_an_object_that_was_damaged_since() {
    let folder = folder();
    let folder = folder.path();
    disk(&folder.join("a.vdi"));
    let args = ["--marketplace", "--repository", "store", "a.vdi", "--no-context", "--json"];
    let base = ["--location", "https://example.org/a.img.gz", "--title"];
    let titled = |title: &'static str| run(folder, &[&args[..], &base, &[title]].concat());
    good(titled("one"));
    let stored = folder.join("store/a.img.gz");
    let mut bytes = fs::read(&stored).unwrap();
    bytes[1000] ^= 1;
    fs::write(&stored, bytes).unwrap();
    let output = titled("two");
    assert_eq!(output.status.code(), Some(73), "{output:?}");
    assert_eq!(tree(&market(folder).join("metadata")).len(), 1);
}

/// Raw images of equal disks have equal sizes, and in a folder of its own each has its own memory.
#[test]
fn another_image_of_the_same_size_is_not_taken_for_ours() {
    let folder = folder();
    let folder = folder.path();
    for name in ["a", "b"] {
        fs::create_dir(folder.join(name)).unwrap();
        let data = Block::Data(noise(u64::from(name.as_bytes()[0]), 1 << 20));
        let vdi = Vdi::new(4 << 20, 1 << 20).with(3, data);
        fs::write(folder.join(name).join("v.vdi"), vdi.bytes()).unwrap();
    }
    let publish = |name: &str, more: &[&str]| {
        let input = format!("{name}/v.vdi");
        let args = ["-C", "none", "--no-context", "--repository", "store", "-o", name, &input];
        run(folder, &[&args[..], more].concat())
    };
    assert!(publish("a", &[]).status.success());
    assert_eq!(publish("b", &[]).status.code(), Some(73));
    assert!(publish("b", &["--force"]).status.success());
    // What was remembered of the first is not true any more.
    assert_eq!(publish("a", &[]).status.code(), Some(73));
    let stored = folder.join("store/v.img");
    assert_eq!(sha256(&stored), sha256(&folder.join("b/v.img")));
    assert!(publish("a", &["--force"]).status.success());
    assert_eq!(sha256(&stored), sha256(&folder.join("a/v.img")));
}
