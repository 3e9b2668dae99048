//! What all targets promise, asked of those that need no server.

#[path = "common/targets.rs"]
mod targets;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

use stratus::control::{Control, Event, Listener};
use stratus::error::Kind;
use stratus::publish::directory::Directory;
use stratus::publish::{Found, How, Object, Session, Target};
use targets::{KEEP, Kept, Others, Place, REPLACE, Sample, noise};
use url::Url;

/// A directory that is not there yet.
struct Folder {
    _home: tempfile::TempDir,
    root: std::path::PathBuf,
}

impl Folder {
    fn new() -> Self {
        Folder::at(tempfile::tempdir().unwrap())
    }

    fn in_memory() -> Self {
        Folder::at(tempfile::tempdir_in("/dev/shm").unwrap())
    }

    fn at(home: tempfile::TempDir) -> Self {
        let root = home.path().join("a b/repository");
        Folder { _home: home, root }
    }
}

/// All files below `root`.
fn names(root: &Path) -> Vec<String> {
    let mut folders = vec![root.to_owned()];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            names.push(path.strip_prefix(root).unwrap().to_string_lossy().into_owned());
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    names.sort();
    names
}

impl Place for Folder {
    fn target(&self) -> Box<dyn Target> {
        Box::new(Directory::new(&self.root).unwrap())
    }

    fn names(&self) -> Option<Vec<String>> {
        Some(names(&self.root))
    }

    fn leave(&self, object: &Object, bytes: &[u8]) -> bool {
        let path = self.root.join(object.name);
        let part = path.with_file_name(targets::part_name(object));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(part, bytes).unwrap();
        true
    }
}

#[test]
fn a_directory_keeps_all_promises() {
    targets::suite(&Folder::new());
}

/// The same directory, with objects linked instead of copied: nothing is stopped in the middle.
#[test]
fn a_linking_directory_keeps_its_promises() {
    struct Linking(Folder);
    impl Place for Linking {
        fn target(&self) -> Box<dyn Target> {
            Box::new(Directory::new(&self.0.root).unwrap().linking())
        }
        fn names(&self) -> Option<Vec<String>> {
            self.0.names()
        }
        fn leave(&self, object: &Object, bytes: &[u8]) -> bool {
            self.0.leave(object, bytes)
        }
    }
    let place = Linking(Folder::new());
    targets::stores_and_finds(&place);
    targets::replaces_only_if_told(&place);
    targets::proves(&place);
    targets::keeps_names(&place);
    targets::refuses_names(&place);
    targets::is_not_confused_by_leftovers(&place);
    targets::plans(&place);
}

#[test]
fn objects_are_linked_where_that_can_be_done() {
    let place = Folder::new();
    let linking = Directory::new(&place.root).unwrap().linking();
    let control = Control::default();
    let sample = Sample::new("x/linked", noise(1, 400_000));
    linking.store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&place.root.join("x/linked")), inode(sample.path()));

    // From another file system it is a copy.
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let linking = Directory::new(shared.path()).unwrap().linking();
    linking.store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
    assert_eq!(fs::read(shared.path().join("x/linked")).unwrap(), sample.bytes);
    assert_eq!(names(shared.path()), ["x", "x/linked"]);
}

#[test]
fn no_symlink_leads_out_of_the_directory() {
    let place = Folder::new();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(&place.root).unwrap();
    symlink(outside.path(), place.root.join("out")).unwrap();
    fs::write(outside.path().join("x"), b"outside").unwrap();
    let control = Control::default();
    for name in ["out/x", "out/y", "out/y/z"] {
        let sample = Sample::new(name, noise(1, 7));
        let error = place.target().store(&sample.object(), REPLACE, &mut Kept::default(), &control);
        assert_eq!(error.unwrap_err().kind(), Kind::CannotCreate, "{name}");
        assert_eq!(
            place.target().fetch(name, 99, &control).unwrap_err().kind(),
            Kind::CannotCreate
        );
        place.target().look(&sample.object(), &control).unwrap_err();
    }
    assert_eq!(names(outside.path()), ["x"]);

    // At the final name, and at that of the part: what they lead to is never touched.
    let sample = Sample::new("link", noise(1, 7));
    let object = sample.object();
    let victim = outside.path().join("x");
    symlink(&victim, place.root.join("link")).unwrap();
    symlink(&victim, place.root.join(targets::part_name(&object))).unwrap();
    assert_eq!(place.target().look(&object, &control).unwrap(), Found::Other);
    let error = place.target().store(&object, KEEP, &mut Kept::default(), &control).unwrap_err();
    assert_eq!(error.kind(), Kind::CannotCreate);
    place.target().fetch("link", 99, &control).unwrap_err();
    place.target().store(&object, REPLACE, &mut Kept::default(), &control).unwrap();
    targets::holds(&place, "link", Some(&sample.bytes));
    assert_eq!(fs::read(&victim).unwrap(), b"outside");
    targets::no_leftovers(&place);
}

#[test]
fn what_is_in_the_way_is_not_harmed() {
    let place = Folder::new();
    let control = Control::default();
    fs::create_dir_all(place.root.join("folder/inner")).unwrap();
    fs::write(place.root.join("file"), b"file").unwrap();
    let made = Command::new("mkfifo").arg(place.root.join("fifo")).status().unwrap();
    assert!(made.success());
    for (name, replace) in
        [("folder", true), ("folder", false), ("file/x", true), ("file", false), ("fifo", false)]
    {
        let sample = Sample::new(name, noise(2, 4));
        let how = How { replace, ..KEEP };
        let error = place.target().store(&sample.object(), how, &mut Kept::default(), &control);
        let error = error.unwrap_err();
        assert_eq!(error.kind(), Kind::CannotCreate, "{name}: {error}");
        assert!(error.advice().is_some());
    }
    assert_eq!(fs::read(place.root.join("file")).unwrap(), b"file");
    assert!(place.root.join("folder/inner").is_dir());

    // A part that is another file's second name is not written into.
    let sample = Sample::new("y", noise(3, 100));
    let object = sample.object();
    let part = place.root.join(targets::part_name(&object));
    fs::hard_link(place.root.join("file"), &part).unwrap();
    place.target().store(&object, KEEP, &mut Kept::default(), &control).unwrap();
    assert_eq!(fs::read(place.root.join("file")).unwrap(), b"file");
    targets::holds(&place, "y", Some(&sample.bytes));

    // A part that is locked is another run's.
    let sample = Sample::new("z", noise(4, 100));
    let object = sample.object();
    let part = place.root.join(targets::part_name(&object));
    let other = fs::File::create(&part).unwrap();
    other.lock().unwrap();
    let error = place.target().store(&object, KEEP, &mut Kept::default(), &control).unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    let error = place.target().discard(&object, &Kept::default(), &control).unwrap_err();
    assert_eq!(error.kind(), Kind::Locked);
    drop(other);
    place.target().store(&object, KEEP, &mut Kept::default(), &control).unwrap();
}

/// Runs that come at the same time: each is right, or says that another one works.
#[test]
fn many_at_once_make_one_object() {
    for round in 0..10 {
        let place = Folder::in_memory();
        let sample = Sample::new("a/x", noise(round, 500_000));
        let store = |session: &mut dyn Session| {
            place.target().store(&sample.object(), KEEP, session, &Control::default())
        };
        let run = || store(&mut Kept::default());
        let of_others = || store(&mut Others::default());
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                (0..3).flat_map(|_| [scope.spawn(run), scope.spawn(of_others)]).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let sent = outcomes.iter().filter(|o| o.as_ref().is_ok_and(|stored| !stored.already));
        assert_eq!(sent.count(), 1, "{outcomes:?}");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(error.kind(), Kind::Locked, "{error}");
        }
        targets::holds(&place, "a/x", Some(&sample.bytes));
        run().unwrap();
        targets::no_leftovers(&place);
    }
}

/// Where there are no locks, another run may replace what is being proved.
#[test]
fn what_was_not_proved_gets_no_final_name() {
    struct Replaces(std::path::PathBuf);
    impl Listener for Replaces {
        fn event(&self, event: &Event) {
            if matches!(event, Event::Begin { stage: "read back", .. }) {
                fs::remove_file(&self.0).unwrap();
                fs::write(&self.0, b"a fragment").unwrap();
            }
        }
    }
    let place = Folder::new();
    let sample = Sample::new("x", noise(5, 500_000));
    let object = sample.object();
    let part = place.root.join(targets::part_name(&object));
    let control = Control { progress: Box::new(Replaces(part)), ..Control::default() };
    let stored = place.target().store(&object, KEEP, &mut Kept::default(), &control);
    assert_eq!(stored.unwrap_err().kind(), Kind::Locked);
    targets::holds(&place, "x", None);
    place.target().store(&object, KEEP, &mut Kept::default(), &Control::default()).unwrap();
    targets::holds(&place, "x", Some(&sample.bytes));
    targets::no_leftovers(&place);
}

#[test]
fn holes_stay_holes() {
    let place = Folder::new();
    let mut bytes = vec![0; 32 << 20];
    bytes[20 << 20] = 1;
    let sample = Sample::new("sparse.img", bytes);
    let control = Control::default();
    place.target().store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
    targets::holds(&place, "sparse.img", Some(&sample.bytes));
    let used = fs::metadata(place.root.join("sparse.img")).unwrap().blocks() * 512;
    assert!(used < 2 << 20, "{used} bytes are used");
}

#[test]
fn a_directory_has_urls() {
    let target = |url: &str| Directory::from_url(&Url::parse(url).unwrap());
    for (url, location) in [
        ("file:///srv/a%20b", "file:///srv/a%20b/x%20y"),
        ("file://localhost/srv/", "file:///srv/x%20y"),
        ("file:/srv/%e9", "file:///srv/%E9/x%20y"),
    ] {
        assert_eq!(target(url).unwrap().location("x y"), location);
    }
    for url in [
        "file://host/srv",
        "file:///srv?x",
        "file:///srv#x",
        "file:///a%00b",
        "http://localhost/srv",
    ] {
        assert_eq!(target(url).unwrap_err().kind(), Kind::Usage, "{url}");
    }
    let relative = Directory::new(Path::new("a/b")).unwrap().location("x");
    assert!(relative.starts_with("file:///") && relative.ends_with("/a/b/x"), "{relative}");

    let place = Directory::new(Path::new("/srv")).unwrap();
    for base in ["https://h.org/images", "https://h.org/images/"] {
        let served = place.clone().served_at(&Url::parse(base).unwrap()).unwrap();
        assert_eq!(served.location("a/b+c"), "https://h.org/images/a/b%2Bc");
        assert_eq!(served.identity(), "file:///srv/");
    }
    for base in ["https://u:sesame@h.org/", "https://h.org/?a=sesame", "mailto:sesame"] {
        let error = place.clone().served_at(&Url::parse(base).unwrap()).unwrap_err();
        assert!(!format!("{error:?}").contains("sesame"));
    }
}

// Faults: another process stores, and strace makes its calls fail, or kills it ---------------------

const ROOT: &str = "STRATUS_TEST_ROOT";
const LINK: &str = "STRATUS_TEST_LINK";
const CHILD: &str = "b c/d/x.img.gz";

fn child_sample() -> Sample {
    Sample::new(CHILD, noise(77, 600_000))
}

/// What the other process does. Alone it does nothing.
#[test]
#[ignore = "others run it"]
fn child() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let mut target = Directory::new(Path::new(&root)).unwrap();
    if std::env::var_os(LINK).is_some() {
        target = target.linking();
    }
    let stored =
        target.store(&child_sample().object(), KEEP, &mut Kept::default(), &Control::default());
    if let Err(error) = stored {
        println!("kind={}", error.kind().name());
        std::process::exit(9);
    }
}

/// Runs the child with calls injected, as strace writes them; gives its output.
fn injected(root: &Path, link: bool, injections: &[String]) -> Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null"]);
    for injection in injections {
        command.arg("-e").arg(format!("inject={injection}"));
    }
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "child", "--ignored"]);
    command.arg("--nocapture").env(ROOT, root).env("TMPDIR", "/dev/shm");
    if link {
        command.env(LINK, "1");
    }
    command.output().expect("the judge strace is missing: apt-get install strace (or tests/run)")
}

/// Nothing or the whole object is at the final name; the next run makes it good and cleans up.
fn made_good(place: &Folder, what: &str) {
    let sample = child_sample();
    let path = place.root.join(CHILD);
    if path.exists() {
        assert!(fs::read(&path).unwrap() == sample.bytes, "{what}: not the whole object");
    }
    let control = Control::default();
    let stored = place.target().store(&sample.object(), KEEP, &mut Kept::default(), &control);
    stored.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(fs::read(&path).unwrap() == sample.bytes, "{what}");
    let left: Vec<_> = names(&place.root).into_iter().filter(|n| n.contains(".part")).collect();
    assert!(left.is_empty(), "{what}: {left:?}");
}

#[test]
fn killed_at_every_call_it_does_no_harm() {
    for (call, link) in [
        ("openat", false),
        ("mkdir", false),
        ("mkdirat", false),
        ("pwrite64", false),
        ("ftruncate", false),
        ("fsync", false),
        ("renameat2", false),
        ("flock", false),
        ("linkat", true),
        ("unlinkat", true),
        ("renameat2", true),
        ("fsync", true),
    ] {
        let mut killed = 0;
        // Until there is no such call any more.
        for number in 1.. {
            assert!(number < 500, "{call} is called too often");
            let place = Folder::in_memory();
            let output =
                injected(&place.root, link, &[format!("{call}:signal=KILL:when={number}")]);
            if output.status.success() {
                break;
            }
            let signal = output.status.signal().or(output.status.code().map(|code| code - 128));
            assert_eq!(signal, Some(9), "{call} {number}: {output:?}");
            killed += 1;
            made_good(&place, &format!("{call} {number}"));
        }
        assert!(killed > 0, "{call} was never called");
        println!("{call}: killed {killed} times");
    }
}

#[test]
fn a_failing_call_is_told_or_gone_around() {
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["pwrite64:error=ENOSPC"], Some("io")),
        (&["pwrite64:error=EIO"], Some("io")),
        (&["pwrite64:error=EDQUOT:when=2"], Some("io")),
        (&["ftruncate:error=ENOSPC"], Some("io")),
        (&["fsync:error=EIO"], Some("io")),
        (&["mkdirat:error=EROFS"], Some("cannot_create")),
        (&["mkdirat:error=EACCES"], Some("permission")),
        (&["mkdirat:error=ENOSPC"], Some("io")),
        (&["mkdir:error=EROFS:when=2+"], Some("cannot_create")),
        (&["renameat2:error=EACCES"], Some("permission")),
        (&["renameat2:error=EIO"], Some("io")),
        (&["renameat2:error=EINVAL", "linkat:error=EIO"], Some("io")),
        // What a file system may lack.
        (&["renameat2:error=EINVAL"], None),
        (&["renameat2:error=EINVAL", "linkat:error=EPERM"], None),
        (&["flock:error=ENOLCK"], None),
        (&["fadvise64:error=EINVAL"], None),
    ];
    for (injections, kind) in cases {
        let place = Folder::in_memory();
        let injections: Vec<String> = injections.iter().map(|text| (*text).to_owned()).collect();
        let output = injected(&place.root, false, &injections);
        let said = String::from_utf8_lossy(&output.stdout);
        match kind {
            Some(kind) => {
                assert!(said.contains(&format!("kind={kind}\n")), "{injections:?}: {said}");
                assert!(!place.root.join(CHILD).exists(), "{injections:?}");
            }
            None => {
                assert!(output.status.success(), "{injections:?}: {said}");
                assert!(place.root.join(CHILD).exists(), "{injections:?}");
            }
        }
        made_good(&place, &format!("{injections:?}"));
    }
}

#[test]
fn the_umask_decides_who_may_read() {
    let place = Folder::in_memory();
    let output = Command::new("sh")
        .args(["-c", "umask 027; exec \"$0\" --exact child --ignored"])
        .arg(std::env::current_exe().unwrap())
        .env(ROOT, &place.root)
        .output()
        .unwrap();
    assert!(output.status.success());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&place.root.join(CHILD)), 0o640);
    assert_eq!(mode(place.root.join(CHILD).parent().unwrap()), 0o750);
}
