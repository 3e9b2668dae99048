use proptest::prelude::*;

use super::super::{EditOptions, trial};
use super::*;
use crate::guest::facts::Mount;
use crate::guest::memory::{Entry, MemoryTree};
use crate::guest::tree::Tree;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000::/home/bob:/bin/sh\n\
    old:abJnggxhB/yWI:1001:1001::/home/old:/bin/sh\nnone::1002:1002::/n:/bin/sh\n\
    evil:x:1003:1003::/etc:/bin/sh\n+::::::\n";
const SHADOW: &str = "root:$6$salt$abcdefghijk:19000:0:99999:7:::\nbob::19000:0:99999:7:::\n\
    daemon:*:1::::::\nsys:!!:1::::::\nheld:!$6$salt$abcdefghijk:1::::::\r\nbare:abJnggxhB/yWI\n";

fn guest() -> MemoryTree {
    let mut tree = MemoryTree::of(&[
        ("/etc/passwd", PASSWD),
        ("/etc/shadow-", SHADOW),
        ("/etc/gshadow", "sudo:*::bob\nw:$6$salt$abcdefghijk::\nusers:::\n"),
        ("/etc/security/opasswd", "bob:1000:1:$6$x$y\n"),
        ("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA builder\n"),
        ("/root/.ssh/id_ed25519", ""),
        ("/root/.ssh/id_ed25519.pub", ""),
        ("/root/.ssh/config", "Host x\n"),
        ("/root/.ssh/work", "-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        ("/home/bob/.aws/credentials", "secret"),
        ("/home/bob/.aws/config", "[default]\n"),
        ("/home/bob/.gnupg/private-keys-v1.d/a.key", "secret"),
        ("/home/bob/notes", "mine"),
        ("/home/guest/.netrc", "secret"),
        ("/etc/.netrc", "not a home"),
        ("/etc/.ssh/id_x", "not a home"),
        ("/tmp/a/b", "x"),
        ("/var/tmp/lost+found/x", "x"),
    ]);
    tree.file("/etc/shadow", SHADOW, 0o640);
    tree
}

#[test]
fn what_is_the_builders_goes_and_the_rest_stays() {
    let mut tree = guest();
    tree.link("/tmp/link", "/etc/passwd");
    let outcome = trial::plain(&EDIT, &mut tree);
    for gone in [
        "/root/.ssh/authorized_keys",
        "/root/.ssh/id_ed25519",
        "/root/.ssh/id_ed25519.pub",
        "/root/.ssh/work",
        "/home/bob/.aws/credentials",
        "/home/bob/.gnupg/private-keys-v1.d",
        "/home/guest/.netrc",
        "/tmp/a",
        "/tmp/link",
    ] {
        assert_eq!(tree.node(Path::new(gone)).unwrap(), None, "{gone}");
    }
    for stays in [
        "/root/.ssh/config",
        "/home/bob/.aws/config",
        "/home/bob/notes",
        "/etc/.netrc",
        "/etc/.ssh/id_x",
        "/var/tmp/lost+found/x",
        "/tmp",
    ] {
        assert!(tree.node(Path::new(stays)).unwrap().is_some(), "{stays}");
    }
    assert_eq!(outcome.codes(), ["no-login"]);
    assert_eq!(outcome.changes[0].action, "emptied: 3 entries");
}

#[test]
fn passwords_are_locked() {
    let mut tree = guest();
    trial::plain(&EDIT, &mut tree);
    let locked = "root:*:19000:0:99999:7:::\nbob:*:19000:0:99999:7:::\n\
        daemon:*:1::::::\nsys:!!:1::::::\nheld:!:1::::::\r\nbare:*\n";
    assert_eq!(tree.text("/etc/shadow").unwrap(), locked);
    assert_eq!(tree.text("/etc/shadow-").unwrap(), locked);
    assert_eq!(tree.node(Path::new("/etc/shadow")).unwrap().unwrap().mode, 0o640);
    let passwd = PASSWD.replace("abJnggxhB/yWI", "*").replace("none::", "none:*:");
    assert_eq!(tree.text("/etc/passwd").unwrap(), passwd);
    assert_eq!(tree.text("/etc/gshadow").unwrap(), "sudo:*::bob\nw:!::\nusers:::\n");
    assert_eq!(tree.text("/etc/security/opasswd").unwrap(), "");
}

#[test]
fn passwords_are_kept_if_the_user_says_so() {
    let mut tree = guest();
    let options = EditOptions { keep_passwords: true, ..Default::default() };
    let outcome = trial::run(&EDIT, &mut tree, &trial::facts(), &options);
    assert_eq!(tree.text("/etc/shadow").unwrap(), SHADOW);
    // Over SSH they are of no use.
    assert_eq!(outcome.codes(), ["no-ssh-login"]);
}

#[test]
fn no_warning_if_there_is_a_way_in() {
    let mut tree = guest();
    tree.file("/etc/cloud/cloud.cfg", "", 0o644);
    assert_eq!(trial::plain(&EDIT, &mut tree).codes(), [""; 0]);
    tree.file("/etc/cloud/cloud.cfg", "datasource_list: [None]", 0o644);
    assert_eq!(trial::plain(&EDIT, &mut tree).codes(), ["no-login"]);
    let mut with_scripts = guest();
    trial::plain(&context_scripts::EDIT, &mut with_scripts);
    assert_eq!(trial::plain(&EDIT, &mut with_scripts).codes(), [""; 0]);
    let authorized_keys = vec!["ssh-ed25519 AAAA me".to_owned()];
    let options = EditOptions { authorized_keys, ..Default::default() };
    let outcome = trial::run(&EDIT, &mut tree, &trial::facts(), &options);
    assert_eq!(outcome.codes(), [""; 0]);
}

/// Ubuntu Server: its installer tells cloud-init to ask nobody, in the file with the password.
#[test]
fn an_installers_answers_go_and_cloud_init_asks_the_cloud() {
    let mut tree = guest();
    let answers = "datasource_list: [None]\n";
    for path in [
        "/etc/cloud/cloud.cfg.d/99-installer.cfg",
        "/root/anaconda-ks.cfg",
        "/var/log/installer/cdebconf/questions.dat",
        "/var/lib/cloud/instances/i-1/user-data.txt",
        "/etc/krb5.keytab",
        "/etc/dropbear/initramfs/authorized_keys",
    ] {
        tree.file(path, answers, 0o600);
    }
    tree.file("/etc/cloud/cloud.cfg", "", 0o644);
    tree.link("/var/lib/cloud/instance", "/var/lib/cloud/instances/i-1");
    let outcome = trial::plain(&EDIT, &mut tree);
    assert_eq!(outcome.codes(), [""; 0]);
    assert!(
        !tree
            .0
            .values()
            .any(|entry| *entry == Entry::File(answers.into(), Attributes::root(0o600)))
    );
    assert_eq!(tree.node(Path::new("/var/lib/cloud/instance")).unwrap(), None);
}

#[test]
fn networks_lose_their_passwords() {
    let path = "/etc/NetworkManager/system-connections/home.nmconnection";
    let mut tree = guest();
    let text = "[wifi-security]\nkey-mgmt=wpa-psk\npsk=secret\nwep-key0=x\n[802-1x]\npassword=x";
    tree.file(path, text, 0o600);
    let supplicant = "/etc/wpa_supplicant/wpa_supplicant.conf";
    tree.file(supplicant, "network={\n\tssid=\"x\"\n\t#psk=\"a\"\n\tpsk=00\n}\n", 0o600);
    let outcome = trial::plain(&EDIT, &mut tree);
    assert_eq!(outcome.codes(), ["network-password", "network-password", "no-login"]);
    assert_eq!(tree.text(path).unwrap(), "[wifi-security]\nkey-mgmt=wpa-psk\n[802-1x]\n");
    assert_eq!(tree.text(supplicant).unwrap(), "network={\n\tssid=\"x\"\n}\n");
}

#[test]
fn links_lead_to_no_damage() {
    let mut tree = guest();
    tree.link("/root/.ssh/authorized_keys2", "/etc/passwd");
    tree.link("/home/bob/.ssh", "/etc/.ssh");
    tree.link("/home/lib", "/usr/lib");
    tree.file("/usr/lib/.netrc", "not a home", 0o644);
    tree.0.retain(|path, _| !path.starts_with("/tmp"));
    tree.link("/tmp", "/etc");
    let outcome = trial::plain(&EDIT, &mut tree);
    assert_eq!(tree.node(Path::new("/root/.ssh/authorized_keys2")).unwrap(), None);
    assert_eq!(tree.node(Path::new("/home/bob/.ssh")).unwrap(), None);
    assert!(tree.text("/etc/.ssh/id_x").is_some() && tree.text("/etc/passwd").is_some());
    assert!(tree.text("/usr/lib/.netrc").is_some());
    assert_eq!(outcome.codes(), ["secrets-tmp", "no-login"]);
}

#[test]
fn what_is_mounted_in_tmp_stays() {
    let mut tree = guest();
    tree.file("/tmp/disk/in/data", "x", 0o644);
    let mut facts = trial::facts();
    let at = "/tmp/disk/in".to_owned();
    facts.mounts.push(Mount { at, volume: "sda2".into(), filesystem: "ext4".into() });
    trial::run(&EDIT, &mut tree, &facts, &Default::default());
    assert!(tree.text("/tmp/disk/in/data").is_some());
    assert_eq!(tree.text("/tmp/a/b"), None);
}

/// Wherever homes and links lead, files of the system are never taken for secrets.
fn evil_place() -> impl Strategy<Value = String> {
    let places = vec![
        "/",
        "/etc",
        "/usr/lib",
        "/var/lib/db",
        "/dev",
        "/home",
        "/home/a",
        "/home/b",
        "/tmp",
        "/home/..",
        "..",
        ".",
        "/home/a/../../etc",
        "/nonexistent",
        "//usr//lib/",
        "/proc/self",
    ];
    prop::sample::select(places).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]
    #[test]
    fn the_system_is_never_taken_for_a_home(
        homes in prop::collection::vec(evil_place(), 4),
        links in prop::collection::vec(evil_place(), 4),
    ) {
        let passwd = format!(
            "root:x:0:0::/root:/bin/sh\na:x:1:1::{}:/bin/sh\nb:x:2:2::{}:/bin/sh\n\
             c:x:3:3::{}:\nd:x:4:4::{}:/bin/bash\n",
            homes[0], homes[1], homes[2], homes[3]
        );
        let system = ["/etc", "/usr/lib", "/var/lib/db", "/dev", "/proc/self"];
        let secrets = [".ssh/id_rsa", ".ssh/authorized_keys", ".netrc", ".aws/credentials"];
        let mut tree = MemoryTree::of(&[("/etc/passwd", &passwd), ("/home/a/x", ""), ("/tmp/x", "")]);
        for place in system {
            for name in secrets {
                tree.file(&format!("{place}/{name}"), "not a secret", 0o600);
            }
        }
        for (link, target) in
            ["/home/b", "/home/a/.ssh", "/home/a/.aws", "/root/.ssh"].iter().zip(&links)
        {
            tree.link(link, target);
        }
        let before = tree.clone();
        trial::run(&EDIT, &mut tree, &trial::facts(), &Default::default());
        for (path, entry) in before.0 {
            if system.iter().any(|place| path.starts_with(place)) {
                prop_assert_eq!(tree.0.get(&path), Some(&entry), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_large_shadow_is_not_passed_over() {
    let mut tree = guest();
    tree.file("/etc/shadow", &"a:b:c\n".repeat(1 << 20), 0o640);
    let error = trial::once(&EDIT, &mut tree, &trial::facts(), &Default::default()).unwrap_err();
    assert_eq!(error.code(), "guest-file-too-large");
}
