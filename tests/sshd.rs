//! `sshd-keys-only` before the server itself: `sshd -T` of OpenSSH reads what the edit has made of a
//! configuration, in a folder that is its whole world, and says what it would do for each user.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;
use stratus::disk::Warning;
use stratus::error::{Error, Kind, Result};
use stratus::guest::edits::{Bench, Change, EditOptions, sshd};
use stratus::guest::facts::{Facts, Init, SshServer};
use stratus::guest::tree::{Attributes, Node, NodeKind, Tree};

/// A guest of plain files, without links; folders are where files are.
#[derive(Clone, Default)]
struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Files {
    fn of(files: &[(&str, &str)]) -> Self {
        Files(files.iter().map(|(path, text)| (path.into(), text.as_bytes().to_vec())).collect())
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.0.keys().any(|file| file != path && file.starts_with(path))
    }
}

fn plain(path: &Path) -> PathBuf {
    let mut at = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => drop(at.pop()),
            Component::Normal(name) => at.push(name),
            _ => {}
        }
    }
    at
}

fn unexpected() -> Error {
    Error::new(Kind::Internal, "test", "the edit of sshd only writes files")
}

impl Tree for Files {
    fn resolve(&self, path: &Path) -> Result<Option<PathBuf>> {
        let path = plain(path);
        Ok((self.0.contains_key(&path) || self.is_dir(&path)).then_some(path))
    }

    fn node(&self, path: &Path) -> Result<Option<Node>> {
        let path = plain(path);
        let size = self.0.get(&path).map(|bytes| bytes.len() as u64);
        let kind = if size.is_some() { NodeKind::File } else { NodeKind::Dir };
        let node = Node { kind, mode: 0, uid: 0, gid: 0, size: size.unwrap_or(0), links: 1 };
        Ok((size.is_some() || self.is_dir(&path)).then_some(node))
    }

    fn read(&self, path: &Path, _: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.0.get(&plain(path)).cloned())
    }

    fn read_head(&self, path: &Path, _: usize) -> Result<Option<Vec<u8>>> {
        self.read(path, 0)
    }

    fn read_link(&self, _: &Path) -> Result<Option<PathBuf>> {
        Ok(None)
    }

    fn list(&self, path: &Path) -> Result<Vec<OsString>> {
        let path = plain(path);
        let inside = self.0.keys().filter_map(|file| file.strip_prefix(&path).ok());
        let mut names: Vec<_> = inside.filter_map(|rest| rest.iter().next()).collect();
        names.dedup();
        Ok(names.into_iter().map(Into::into).collect())
    }

    fn write(&mut self, path: &Path, content: &[u8], _: Attributes) -> Result<()> {
        self.0.insert(plain(path), content.to_vec());
        Ok(())
    }

    fn remove(&mut self, _: &Path) -> Result<()> {
        Err(unexpected())
    }

    fn clear(&mut self, _: &Path, _: &[OsString]) -> Result<usize> {
        Err(unexpected())
    }

    fn make_dir(&mut self, _: &Path, _: Attributes) -> Result<()> {
        Ok(())
    }

    fn make_link(&mut self, _: &Path, _: &Path) -> Result<()> {
        Err(unexpected())
    }

    fn rename(&mut self, _: &Path, _: &Path) -> Result<()> {
        Err(unexpected())
    }

    fn set_mode(&mut self, _: &Path, _: u16) -> Result<()> {
        Err(unexpected())
    }
}

/// The edit, twice; the second time it has nothing to do.
fn edit(files: &mut Files) -> Vec<Warning> {
    let (_, warnings) = edit_once(files);
    let (again, _) = edit_once(files);
    assert_eq!(again, [], "the second run changed something");
    warnings
}

fn edit_once(files: &mut Files) -> (Vec<Change>, Vec<Warning>) {
    let facts = Facts {
        init: Init::Systemd,
        ssh: Some(SshServer::Openssh),
        disks_bus: "virtio".into(),
        ..Facts::default()
    };
    let options = EditOptions::default();
    let mut bench = Bench {
        tree: files,
        facts: &facts,
        volumes: &[],
        options: &options,
        name: sshd::EDIT.name,
        changes: Vec::new(),
        warnings: Vec::new(),
    };
    (sshd::EDIT.run)(&mut bench).unwrap();
    (bench.changes, bench.warnings)
}

/// A folder with nothing but the server in it.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = Path::new("/usr/sbin/sshd");
        assert!(server.exists(), "the judge sshd is missing: apt-get install openssh-server");
        let mut needed = vec![server.to_owned()];
        needed.extend(libraries(server));
        for file in needed {
            let copy = folder.path().join(file.strip_prefix("/").unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(&file, &copy).unwrap();
        }
        for (path, text) in [
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n"),
            ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
            ("dev/null", ""),
            ("run/sshd/empty", ""),
        ] {
            fs::create_dir_all(folder.path().join(path).parent().unwrap()).unwrap();
            fs::write(folder.path().join(path), text).unwrap();
        }
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.path().join("hostkey"))
            .status();
        assert!(made.expect("apt-get install openssh-client").success());
        World(folder)
    }

    /// Puts the guest's files there, instead of those of the last one.
    fn put(&self, files: &Files) {
        for folder in ["etc/ssh", "etc/s", "usr/etc", "srv"] {
            let _ = fs::remove_dir_all(self.0.path().join(folder));
        }
        fs::create_dir_all(self.0.path().join("etc/ssh")).unwrap();
        for (path, bytes) in &files.0 {
            let place = self.0.path().join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(place, bytes).unwrap();
        }
    }

    fn run(&self, main: &str, user: &str) -> Output {
        // Root of the machine may leave its world; anybody else first becomes root of one.
        let me = Command::new("id").arg("-u").output().unwrap().stdout;
        let mut command = match me.as_slice() {
            b"0\n" => Command::new("chroot"),
            _ => {
                let mut command = Command::new("unshare");
                command.args(["-r", "chroot"]);
                command
            }
        };
        command.arg(self.0.path()).args(["/usr/sbin/sshd", "-T", "-h", "/hostkey", "-f", main]);
        command.arg("-C").arg(format!("user={user},host=x,addr=1.2.3.4"));
        command.output().unwrap()
    }

    /// What the server would do for `user`.
    fn ask(&self, main: &str, user: &str) -> BTreeMap<String, String> {
        let output = self.run(main, user);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_ascii_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

const MAIN: &str = "/etc/ssh/sshd_config";
const USERS: [&str; 3] = ["root", "bob", "sshd"];

/// Whether anyone but an owner of a key is offered anything; the reason, if so.
fn too_open(world: &World, main: &str) -> Option<String> {
    for user in USERS {
        let says = world.ask(main, user);
        for (key, value) in [
            ("passwordauthentication", "no"),
            ("kbdinteractiveauthentication", "no"),
            ("pubkeyauthentication", "yes"),
            ("hostbasedauthentication", "no"),
            ("gssapiauthentication", "no"),
            ("kerberosauthentication", "no"),
            ("permitemptypasswords", "no"),
        ] {
            // Some builds have no Kerberos.
            if says.get(key).is_some_and(|said| said != value) {
                return Some(format!("{user}: {key} {}", says[key]));
            }
        }
        if says["permitrootlogin"] == "yes" {
            return Some(format!("{user}: permitrootlogin yes"));
        }
        if !matches!(says["authenticationmethods"].as_str(), "any" | "publickey") {
            return Some(format!(
                "{user}: authenticationmethods {}",
                says["authenticationmethods"]
            ));
        }
        if says["authorizedkeysfile"] == "none" {
            return Some(format!("{user}: no keys"));
        }
    }
    None
}

const DROP_INS: &str = "Include /etc/ssh/sshd_config.d/*.conf\n";
const CLOUD: (&str, &str) =
    ("/etc/ssh/sshd_config.d/50-cloud-init.conf", "PasswordAuthentication yes\n");

/// Configurations in which somebody can come in without a key, or nobody with one.
const OPEN: &[&[(&str, &str)]] = &[
    // The cases that were measured when the rules of the edit were made.
    &[(MAIN, "Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication no\n"), CLOUD],
    &[(MAIN, DROP_INS), ("/etc/ssh/sshd_config.d/00-x.conf", "PasswordAuthentication no\n"), CLOUD],
    &[(MAIN, "PasswordAuthentication no\nMatch User bob\n\tPasswordAuthentication yes\n")],
    &[(MAIN, "Match User bob\nX11Forwarding no\nPasswordAuthentication no\n")],
    &[(MAIN, "PasswordAuthentication no\n")],
    // How a line may be written.
    &[(MAIN, "")],
    &[(MAIN, "#PasswordAuthentication yes\nUsePAM no")],
    &[(MAIN, "PASSWORDAUTHENTICATION=yes\r\nKbdInteractiveAuthentication = yes\r\n")],
    &[(MAIN, "\"PasswordAuthentication\" \"yes\" # why\n\tUsePAM no\n")],
    &[(MAIN, "Match all\n=PasswordAuthentication yes")],
    &[(MAIN, "Match all\nPass\"wordAuthentication\"yes\n")],
    &[(MAIN, "Match all\nPass\0word\nwordAuthentication yes\n")],
    &[(MAIN, "Match all\nPasswordAuthentication yes\x0c\n")],
    &[(MAIN, "Match User bob\nSkeyAuthentication yes\nMatch all\nPasswordAuthentication no\n")],
    // Where it may stand.
    &[
        (MAIN, "Include a \"b c\" /srv/*/x[0-9].conf\n"),
        ("/etc/ssh/a", "PasswordAuthentication yes\n"),
        ("/etc/ssh/b c", "Match all\nKbdInteractiveAuthentication yes\n"),
        ("/srv/1/x7.conf", "Match user root\nPermitRootLogin yes\n"),
    ],
    &[
        (MAIN, "Include s\\/a .[.]/ssh/s/b\n"),
        ("/etc/ssh/s/a", "Match all\nPasswordAuthentication yes\n"),
        ("/etc/ssh/s/b", "Match all\nKbdInteractiveAuthentication yes\n"),
    ],
    &[(MAIN, "Include .*/s/b\n"), ("/etc/s/b", "Match all\nPasswordAuthentication yes\n")],
    &[
        (MAIN, "Include a\n"),
        ("/etc/ssh/a", "Include b\n"),
        ("/etc/ssh/b", "Include sub/../c\n"),
        ("/etc/ssh/sub/x", ""),
        ("/etc/ssh/c", "Match all\nPasswordAuthentication yes\n"),
    ],
    &[(MAIN, "Match User bob\nInclude a\n"), ("/etc/ssh/a", "PasswordAuthentication yes\n")],
    &[
        (MAIN, "Match User bob\nInclude a\n"),
        ("/etc/ssh/a", "Match User root\nPubkeyAuthentication no\n"),
    ],
    &[
        (MAIN, "Include a\nMatch User bob\nInclude a\n"),
        ("/etc/ssh/a", "PasswordAuthentication yes\n"),
    ],
    &[
        (MAIN, "Include /etc/ssh/d/{a,b}.conf /etc/ssh/d/[!b].conf\n"),
        ("/etc/ssh/d/a.conf", "Match all\nPasswordAuthentication yes\n"),
    ],
    &[
        (MAIN, "Include d/[[:digit:]]x d/\\*y\n"),
        ("/etc/ssh/d/7x", "Match all\nPasswordAuthentication yes\n"),
        ("/etc/ssh/d/*y", "Match all\nKbdInteractiveAuthentication yes\n"),
    ],
    // What else opens a door, or closes the one for keys.
    &[(MAIN, "PubkeyAuthentication no\nPermitRootLogin no\n")],
    &[(MAIN, "AuthenticationMethods publickey,password keyboard-interactive\n")],
    &[(
        MAIN,
        "AuthenticationMethods publickey,keyboard-interactive:pam\nMatch User bob\n\
        AuthenticationMethods password\n",
    )],
    &[(MAIN, "AuthorizedKeysFile none\nHostbasedAuthentication yes\n")],
    &[(MAIN, "GSSAPIAuthentication yes\nKerberosAuthentication yes\nPermitEmptyPasswords yes\n")],
];

#[test]
fn the_server_offers_keys_only() {
    let world = World::new();
    for case in OPEN {
        let mut files = Files::of(case);
        world.put(&files);
        if world.run(MAIN, "root").status.success() {
            assert!(too_open(&world, MAIN).is_some(), "this was closed before: {case:?}");
        }
        edit(&mut files);
        world.put(&files);
        assert_eq!(too_open(&world, MAIN), None, "{case:?}");
        let root = &world.ask(MAIN, "root")["permitrootlogin"];
        assert!(matches!(root.as_str(), "without-password" | "prohibit-password"), "{root}");
    }
}

/// The file that Debian's package puts there, and the one that cloud-init adds.
#[test]
fn a_distributions_own_configuration_is_closed() {
    let world = World::new();
    let text = fs::read_to_string("/usr/share/openssh/sshd_config").unwrap();
    let mut files = Files::of(&[(MAIN, &text), CLOUD]);
    world.put(&files);
    assert!(too_open(&world, MAIN).is_some());
    assert_eq!(edit(&mut files), []);
    world.put(&files);
    assert_eq!(too_open(&world, MAIN), None);
    assert_eq!(world.ask(MAIN, "root")["usepam"], "yes");
}

#[test]
fn what_is_strict_stays_strict() {
    let world = World::new();
    let text = "PermitRootLogin forced-commands-only\nX11Forwarding no\nUsePAM yes\n\
        Match Address 1.2.3.0/24\nPermitRootLogin no\nMatch User bob\nForceCommand /bin/true\n";
    let mut files = Files::of(&[(MAIN, text)]);
    let warnings = edit(&mut files);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    world.put(&files);
    assert_eq!(too_open(&world, MAIN), None);
    let says = world.ask(MAIN, "root");
    assert_eq!((says["permitrootlogin"].as_str(), says["usepam"].as_str()), ("no", "yes"));
    assert_eq!(world.ask(MAIN, "bob")["forcecommand"], "/bin/true");
}

/// SUSE: the vendor's file, which includes the administrator's folder.
#[test]
fn a_vendors_file_is_overruled() {
    let main = "/usr/etc/ssh/sshd_config";
    let world = World::new();
    for text in
        ["Include /etc/ssh/sshd_config.d/*.conf\nPasswordAuthentication yes\n", "UsePAM yes\n"]
    {
        let mut files = Files::of(&[(main, text), CLOUD]);
        world.put(&files);
        assert!(too_open(&world, main).is_some());
        edit(&mut files);
        world.put(&files);
        assert_eq!(too_open(&world, main), None);
        let included = text.starts_with("Include");
        assert_eq!(
            files.0.contains_key(Path::new("/etc/ssh/sshd_config.d/00-stratus.conf")),
            included
        );
    }
}

/// A line with one of the keywords, written in one of the ways.
fn line() -> impl Strategy<Value = String> {
    let said = prop_oneof![
        3 => (
            prop::sample::select(vec![
                "PasswordAuthentication",
                "ChallengeResponseAuthentication",
                "KbdInteractiveAuthentication",
                "SkeyAuthentication",
                "PubkeyAuthentication",
                "HostbasedAuthentication",
                "PermitEmptyPasswords",
                "GSSAPIAuthentication",
                "KerberosAuthentication",
            ]),
            prop::sample::select(vec!["yes", "no", "\"yes\"", "'no'"]),
        ),
        1 => (
            Just("PermitRootLogin"),
            prop::sample::select(vec!["yes", "no", "prohibit-password", "without-password"]),
        ),
        1 => (
            Just("AuthenticationMethods"),
            prop::sample::select(vec!["password", "publickey", "publickey,password"]),
        ),
        1 => (
            Just("AuthorizedKeysFile"),
            prop::sample::select(vec!["none", ".ssh/authorized_keys", "/etc/keys/%u"]),
        ),
        2 => (
            Just("Match"),
            prop::sample::select(vec!["User bob", "all", "User root", "Address 1.2.3.0/24"]),
        ),
    ];
    let form = (
        prop::sample::select(vec!["", "\t", "  "]),
        prop::sample::select(vec![" ", "\t", "=", " = ", "  "]),
        prop::sample::select(vec!["\n", "\r\n", " \n", " # yes\n"]),
        any::<bool>(),
    );
    (said, form).prop_map(|((key, value), (indent, between, end, lower))| {
        let is_match = key == "Match";
        let key = if lower { key.to_ascii_lowercase() } else { key.to_owned() };
        // A comment behind the value of a Match is a value in some releases.
        let end = if is_match { "\n" } else { end };
        format!("{indent}{key}{between}{value}{end}")
    })
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(line(), 0..6)
}

/// Puts an `Include` of `what` somewhere.
fn with_include(mut lines: Vec<String>, at: usize, what: &str) -> String {
    lines.insert(at.min(lines.len()), format!("Include {what}\n"));
    lines.concat()
}

#[test]
fn any_configuration_ends_with_keys_only() {
    let world = World::new();
    let config = ((lines(), 0..7_usize), (lines(), 0..7_usize), lines(), lines());
    let settings = ProptestConfig { cases: 100, failure_persistence: None, ..Default::default() };
    proptest!(settings, |((main, a, b, c) in config)| {
        let mut files = Files::of(&[
            (MAIN, &with_include(main.0, main.1, "sshd_config.d/*.conf")),
            ("/etc/ssh/sshd_config.d/a.conf", &with_include(a.0, a.1, "/etc/ssh/more")),
            ("/etc/ssh/sshd_config.d/b.conf", &b.concat()),
            ("/etc/ssh/more", &c.concat()),
        ]);
        edit(&mut files);
        world.put(&files);
        prop_assert_eq!(too_open(&world, MAIN), None);
    });
}

/// Lines with odd characters in them: wherever the server still reads `yes`, so does the edit.
#[test]
fn odd_lines_are_read_as_the_server_reads_them() {
    let world = World::new();
    let odd = prop::sample::select(vec![
        " ", "\t", "\"", "'", "=", "\\", "#", "\x0c", "\r", "\0", "\0\n",
    ]);
    let lines = [
        "Match all\nPasswordAuthentication yes\n",
        "KbdInteractiveAuthentication yes\nMatch user root\nPermitRootLogin yes\n",
        "Include \"in cluded\"\nX11Forwarding no\n",
        "Match all\nInclude /etc/ssh/more/*.conf # x\n",
    ];
    let mangled = prop::collection::vec((any::<prop::sample::Index>(), odd), 1..4);
    let settings = ProptestConfig { cases: 250, failure_persistence: None, ..Default::default() };
    let accepted = std::cell::Cell::new(0);
    proptest!(settings, |(line in prop::sample::select(lines.to_vec()), mangled in mangled)| {
        let mut text = line.to_owned();
        for (at, odd) in mangled {
            text.insert_str(at.index(text.len()), odd);
        }
        let included = "Match all\nPasswordAuthentication yes\n";
        let mut files = Files::of(&[
            (MAIN, &text),
            ("/etc/ssh/in cluded", included),
            ("/etc/ssh/more/a.conf", included),
        ]);
        world.put(&files);
        if world.run(MAIN, "root").status.success() {
            accepted.set(accepted.get() + 1);
            edit(&mut files);
            world.put(&files);
            prop_assert_eq!(too_open(&world, MAIN), None, "{:?}", text);
        }
    });
    assert!(accepted.get() > 20, "only {} lines were of any use", accepted.get());
}

/// What Dropbear offers somebody without a key, when it is started with these arguments.
fn dropbear_offers(arguments: &[String]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let made = Command::new("dropbearkey").args(["-t", "ed25519", "-f"]).arg(&key).output();
    assert!(
        made.expect("the judge dropbear is missing: apt-get install dropbear-bin").status.success()
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let client = Command::new("ssh")
        .args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes"])
        .args(["-o", "UserKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=none"])
        .args(["-o", "ConnectTimeout=20", "-p", &port, "root@127.0.0.1", "true"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("apt-get install openssh-client");
    // As inetd does: the connection is the server's input and output.
    let connection = OwnedFd::from(listener.accept().unwrap().0);
    let mut server = Command::new("/usr/sbin/dropbear")
        .args(["-i", "-r"])
        .arg(&key)
        .args(arguments)
        .stdin(connection.try_clone().unwrap())
        .stdout(connection)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = client.wait_with_output().unwrap();
    server.wait().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let offer = said.split_once("Permission denied (").and_then(|(_, rest)| rest.split_once(')'));
    offer.unwrap_or_else(|| panic!("{said}")).0.to_owned()
}

/// What a start script passes to Dropbear.
fn arguments(files: &Files, script: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let stub = folder.path().join("dropbear");
    fs::write(&stub, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    fs::set_permissions(&stub, fs::Permissions::from_mode(0o755)).unwrap();
    let settings = folder.path().join("settings");
    fs::write(&settings, &files.0[Path::new("/etc/default/dropbear")]).unwrap();
    let text = String::from_utf8(files.0[Path::new(script)].clone()).unwrap();
    let text = text.replace("/etc/default/dropbear", &settings.display().to_string());
    let text = text.replace("/usr/sbin/dropbear", &stub.display().to_string());
    let output = Command::new("sh").args(["-c", &text, "sh", "start"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    // Keys on demand would go to this machine's own folder.
    said.lines().filter(|word| *word != "-R").map(str::to_owned).collect()
}

/// The guest in `testdata/mydisk.vdi`.
#[test]
fn the_dropbear_of_the_sample_disk_offers_keys_only() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/make-mydisk.sh");
    let maker = fs::read_to_string(path).unwrap();
    let script = "/etc/init.d/S50dropbear";
    let head = format!("text {} 0755 <<'GUEST'\n", &script[1..]);
    let text = maker.split_once(&head).unwrap().1.split_once("GUEST\n").unwrap().0;
    let mut files = Files::of(&[
        (script, text),
        ("/etc/default/dropbear", "# Extra arguments.\n#DROPBEAR_EXTRA_ARGS=\n"),
        ("/usr/sbin/dropbear", ""),
    ]);
    assert_eq!(dropbear_offers(&arguments(&files, script)), "publickey,password");
    assert_eq!(edit(&mut files), []);
    assert_eq!(dropbear_offers(&arguments(&files, script)), "publickey");
}
