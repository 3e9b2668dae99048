//! What every target promises (`stratus::publish::Target`), asked of one.
//!
//! A store is described by a [`Place`]; [`suite`] asks everything. Each question uses names of its
//! own, so one place serves for all.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stratus::control::{Control, Event, Listener};
use stratus::error::{Kind, Result};
use stratus::publish::{Content, Found, How, Object, Session, Target, Verify};
use tempfile::TempDir;

/// A store under test.
pub trait Place {
    /// The target, as a new process would make it, always at the same place.
    fn target(&self) -> Box<dyn Target>;

    /// All names in the store, seen from behind: finished and unfinished objects. None if that
    /// cannot be seen.
    fn names(&self) -> Option<Vec<String>> {
        None
    }

    /// Whether an upload that was stopped is continued, and not begun anew.
    fn continues(&self) -> bool {
        true
    }

    /// Puts bytes where the unfinished object lies, from behind; false if that cannot be done.
    fn leave(&self, object: &Object, bytes: &[u8]) -> bool {
        let _ = (object, bytes);
        false
    }

    /// Bytes of the object that is stopped in the middle: enough for some progress events.
    fn large(&self) -> usize {
        (8 << 20) + 4321
    }
}

/// Who stores in these tests.
pub const OWNER: &str = "0a1b2c3d";

/// What the unfinished object of [`OWNER`] is called.
pub fn part_name(object: &Object) -> String {
    let last = object.name.rsplit('/').next().unwrap();
    format!(".{last}.{}.{OWNER}.part", &object.sha256[..16])
}

/// A session in memory.
#[derive(Default)]
pub struct Kept(pub Option<Value>);

impl Session for Kept {
    fn owner(&self) -> String {
        OWNER.to_owned()
    }

    fn last(&self) -> Option<Value> {
        self.0.clone()
    }

    fn keep(&mut self, value: Value) -> Result<()> {
        self.0 = Some(value);
        Ok(())
    }
}

/// Remembers all events; asks to stop once the stage `upload` has brought so many bytes.
struct Watch {
    events: Arc<Mutex<Vec<Event>>>,
    stop: Arc<AtomicUsize>,
    stop_after: Option<u64>,
    stage: Mutex<&'static str>,
}

impl Listener for Watch {
    fn event(&self, event: &Event) {
        match event {
            Event::Begin { stage, .. } => *self.stage.lock().unwrap() = stage,
            Event::Advance { data, .. } => {
                let uploading = *self.stage.lock().unwrap() == "upload";
                if uploading && self.stop_after.is_some_and(|after| *data >= after) {
                    self.stop.store(2, Ordering::Relaxed);
                }
            }
            _ => {}
        }
        self.events.lock().unwrap().push(event.clone());
    }
}

/// A control that remembers, and stops after so many bytes.
pub fn watched(stop_after: Option<u64>) -> (Control, Arc<Mutex<Vec<Event>>>) {
    let (events, stop) = (Arc::default(), Arc::<AtomicUsize>::default());
    let watch = Watch {
        events: Arc::clone(&events),
        stop: Arc::clone(&stop),
        stop_after,
        stage: Mutex::new(""),
    };
    (Control { stop, progress: Box::new(watch) }, events)
}

/// Bytes that no compression or coincidence makes equal: a stream of its own for each seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// SHA-256, as an object has it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An object of bytes in a file.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
    pub sha256: String,
    path: PathBuf,
    _folder: TempDir,
}

impl Sample {
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("source");
        std::fs::write(&path, &bytes).unwrap();
        Sample { name: name.to_owned(), sha256: sha256(&bytes), bytes, path, _folder: folder }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn object(&self) -> Object<'_> {
        Object {
            name: &self.name,
            content: Content::File(&self.path),
            bytes: self.bytes.len() as u64,
            sha256: &self.sha256,
        }
    }
}

/// No replacing, everything read back.
pub const KEEP: How = How { verify: Verify::Full, replace: false };
/// Replacing, everything read back.
pub const REPLACE: How = How { verify: Verify::Full, replace: true };

fn max(bytes: &[u8]) -> u64 {
    bytes.len() as u64 + 1
}

/// Asserts what lies at the final name, through a new target.
#[track_caller]
pub fn holds(place: &dyn Place, name: &str, bytes: Option<&[u8]>) {
    let max = bytes.map_or(1 << 26, max);
    let found = place.target().fetch(name, max, &Control::default()).unwrap();
    assert_eq!(found.as_ref().map(Vec::len), bytes.map(<[u8]>::len), "{name}");
    assert!(found.as_deref() == bytes, "{name}: other bytes");
}

/// Asserts that nothing unfinished is left, as far as that can be seen.
#[track_caller]
pub fn no_leftovers(place: &dyn Place) {
    for name in place.names().unwrap_or_default() {
        assert!(!name.contains(".part"), "{name} was left");
    }
}

/// Asks everything.
pub fn suite(place: &dyn Place) {
    stores_and_finds(place);
    replaces_only_if_told(place);
    proves(place);
    keeps_names(place);
    refuses_names(place);
    is_interrupted_and_continues(place);
    believes_no_session(place);
    is_not_confused_by_leftovers(place);
    keeps_owners_apart(place);
    discards(place);
    fetches_within_bounds(place);
    plans(place);
    tells_progress(place);
}

/// Stored, found, read, and not sent again; from a file and from memory; also nothing at all.
pub fn stores_and_finds(place: &dyn Place) {
    let control = Control::default();
    for (name, bytes) in
        [("s/file.img.gz", noise(1, 300_001)), ("s/one", vec![0]), ("s/empty", vec![])]
    {
        for verify in [Verify::Full, Verify::Tail, Verify::None] {
            let sample = Sample::new(&format!("{name}-{verify:?}"), bytes.clone());
            let object = sample.object();
            let target = place.target();
            assert_eq!(target.look(&object, &control).unwrap(), Found::Nothing, "{name}");
            holds(place, object.name, None);

            let how = How { verify, replace: false };
            let stored = target.store(&object, how, &mut Kept::default(), &control).unwrap();
            assert!(!stored.already && !stored.proof.is_empty(), "{stored:?}");
            assert_eq!(stored.url, target.location(object.name));
            holds(place, object.name, Some(&bytes));
            assert_eq!(place.target().look(&object, &control).unwrap(), Found::Perhaps);

            let again = place.target().store(&object, how, &mut Kept::default(), &control);
            assert!(again.unwrap().already, "{name}");
            holds(place, object.name, Some(&bytes));
        }
    }
    let bytes = noise(2, 70_000);
    let object = Object {
        name: "s/memory.xml",
        content: Content::Bytes(&bytes),
        bytes: 70_000,
        sha256: &sha256(&bytes),
    };
    place.target().store(&object, KEEP, &mut Kept::default(), &control).unwrap();
    holds(place, object.name, Some(&bytes));
    no_leftovers(place);
}

/// Another object stays, or is replaced as a whole, also one of the same size.
pub fn replaces_only_if_told(place: &dyn Place) {
    let control = Control::default();
    let old = Sample::new("r/x.img.gz", noise(3, 50_000));
    place.target().store(&old.object(), KEEP, &mut Kept::default(), &control).unwrap();
    for new in [noise(4, 50_000), noise(5, 49_999), vec![]] {
        let new = Sample::new("r/x.img.gz", new);
        let same_size = new.bytes.len() == old.bytes.len();
        let look = place.target().look(&new.object(), &control).unwrap();
        assert!(look == Found::Other || (same_size && look == Found::Perhaps), "{look:?}");
        let refused = place.target().store(&new.object(), KEEP, &mut Kept::default(), &control);
        let refused = refused.unwrap_err();
        assert_eq!(refused.kind(), Kind::CannotCreate, "{refused}");
        assert!(refused.advice().is_some(), "{refused}");
        holds(place, "r/x.img.gz", Some(&old.bytes));

        let stored = place.target().store(&new.object(), REPLACE, &mut Kept::default(), &control);
        assert!(!stored.unwrap().already);
        holds(place, "r/x.img.gz", Some(&new.bytes));
        place.target().store(&old.object(), REPLACE, &mut Kept::default(), &control).unwrap();
    }
    // The same object once more is no reason to replace it.
    let stored = place.target().store(&old.object(), REPLACE, &mut Kept::default(), &control);
    assert!(stored.unwrap().already);
    no_leftovers(place);
}

/// What is not what the object says gets no final name.
pub fn proves(place: &dyn Place) {
    let control = Control::default();
    let right = Sample::new("p/x.img.gz", noise(6, 100_000));
    let other = sha256(b"other");
    let mut flaws = vec![Object { sha256: &other, ..right.object() }];
    for bytes in [99_999, 100_001, 0] {
        flaws.push(Object { bytes, ..right.object() });
        flaws.push(Object { bytes, content: Content::Bytes(&right.bytes), ..right.object() });
    }
    for object in flaws {
        for verify in [Verify::Full, Verify::Tail, Verify::None] {
            let how = How { verify, replace: false };
            let error = place.target().store(&object, how, &mut Kept::default(), &control);
            let error = error.unwrap_err();
            assert_eq!(error.kind(), Kind::Mismatch, "{object:?}: {error}");
            holds(place, object.name, None);
        }
    }
    // Nor does it replace a right one.
    place.target().store(&right.object(), KEEP, &mut Kept::default(), &control).unwrap();
    let wrong = Object { sha256: &other, ..right.object() };
    place.target().store(&wrong, REPLACE, &mut Kept::default(), &control).unwrap_err();
    holds(place, right.object().name, Some(&right.bytes));
    no_leftovers(place);
}

/// Odd names are names like others.
pub fn keeps_names(place: &dyn Place) {
    let control = Control::default();
    let names = [
        "n/with space.img.gz",
        "n/100%.img.gz",
        "n/100%25.img.gz",
        "n/a+b.img.gz",
        "n/a b.img.gz",
        "n/caf\u{e9}.img.gz",
        "n/日本語.img.gz",
        "n/q?x=1&y#z.img.gz",
        "n/'\"<>;:@,$!*()[].img.gz",
        "n/a/b/c/d/e/f/g/h/i/j/deep.img.gz",
        "n/.hidden/.x",
        "n/...",
        "n/%2e%2e/x",
    ];
    let samples: Vec<_> =
        names.iter().zip(10..).map(|(name, seed)| Sample::new(name, noise(seed, 100))).collect();
    let mut urls = Vec::new();
    for sample in &samples {
        let stored = place.target().store(&sample.object(), KEEP, &mut Kept::default(), &control);
        let url = stored.unwrap_or_else(|e| panic!("{}: {e}", sample.name)).url;
        let plain = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
        assert!(url.chars().all(plain), "{url}");
        urls.push(url);
    }
    urls.sort();
    urls.dedup();
    assert_eq!(urls.len(), names.len(), "two names have one URL: {urls:?}");
    for sample in &samples {
        holds(place, &sample.name, Some(&sample.bytes));
    }
    let long = Sample::new(&format!("n/{}.img.gz", "x".repeat(200)), noise(40, 10));
    place.target().store(&long.object(), KEEP, &mut Kept::default(), &control).unwrap();
    holds(place, &long.name, Some(&long.bytes));
}

/// Names that lead elsewhere are refused before anything happens.
pub fn refuses_names(place: &dyn Place) {
    let control = Control::default();
    let before = place.names();
    for name in [
        "",
        "/",
        "/etc/x",
        "x/",
        "x//y",
        "..",
        "../x",
        "x/../y",
        "x/..",
        ".",
        "./x",
        "x/./y",
        "x\ny",
        "x\0y",
        "x\u{1b}[2J",
        "x\u{7f}",
    ] {
        let sample = Sample::new(name, noise(7, 10));
        let object = sample.object();
        let target = place.target();
        let kinds = [
            target.store(&object, REPLACE, &mut Kept::default(), &control).unwrap_err().kind(),
            target.look(&object, &control).unwrap_err().kind(),
            target.discard(&object, &Kept::default(), &control).unwrap_err().kind(),
            target.fetch(name, 10, &control).unwrap_err().kind(),
        ];
        for kind in kinds {
            assert!(matches!(kind, Kind::Usage | Kind::Internal), "{name:?}: {kind:?}");
        }
    }
    assert_eq!(place.names(), before);
}

/// Stops the object in the middle. Returns what was kept.
#[track_caller]
pub fn interrupted(place: &dyn Place, sample: &Sample) -> Kept {
    let (control, _) = watched(Some(1));
    let mut session = Kept::default();
    let error = place.target().store(&sample.object(), KEEP, &mut session, &control);
    let error = error.expect_err("it was not stopped in the middle");
    assert_eq!(error.kind(), Kind::Interrupted(2), "{error}");
    assert!(error.advice().is_some());
    holds(place, &sample.name, None);
    session
}

/// Stopped in the middle: nothing has the final name, and the next run goes on.
pub fn is_interrupted_and_continues(place: &dyn Place) {
    let sample = Sample::new("i/x.img.gz", noise(8, place.large()));
    let mut session = interrupted(place, &sample);
    if place.continues() {
        assert!(session.0.is_some(), "nothing was kept");
    }
    let (control, events) = watched(None);
    let stored = place.target().store(&sample.object(), KEEP, &mut session, &control).unwrap();
    assert!(!stored.already);
    holds(place, &sample.name, Some(&sample.bytes));
    let continued = events
        .lock()
        .unwrap()
        .iter()
        .any(|event| matches!(event, Event::Begin { stage: "upload", from, .. } if *from > 0));
    assert_eq!(continued, place.continues(), "{session:?}", session = session.0);

    // Stopped before anything.
    let (control, _) = watched(None);
    control.stop.store(15, Ordering::Relaxed);
    let other = Sample::new("i/y.img.gz", noise(9, 1000));
    let error = place.target().store(&other.object(), KEEP, &mut Kept::default(), &control);
    assert_eq!(error.unwrap_err().kind(), Kind::Interrupted(15));
    holds(place, &other.name, None);
    no_leftovers(place);
}

/// A session that is lost, forged, old, or another object's never does harm.
pub fn believes_no_session(place: &dyn Place) {
    let control = Control::default();
    let sample = Sample::new("b/x.img.gz", noise(20, place.large()));
    let kept = interrupted(place, &sample).0;
    place.target().store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
    holds(place, &sample.name, Some(&sample.bytes));

    let mut forged = vec![
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!(-1),
        json!({"offset": -1}),
        json!({"offset": "7"}),
        json!({"offset": u64::MAX}),
        json!({"offset": sample.bytes.len()}),
        json!({"offset": 1.5}),
        json!({"offset": 100}),
    ];
    // The session of another object, and one that is of no use any more.
    forged.extend(kept.clone());
    // Its parts, each made nonsense.
    if let Some(Value::Object(fields)) = kept {
        for name in fields.keys() {
            for nonsense in [json!(null), json!([1]), json!("../../x"), json!(u64::MAX), json!({})]
            {
                let mut fields = fields.clone();
                fields.insert(name.clone(), nonsense);
                forged.push(Value::Object(fields));
            }
        }
    }
    for (value, seed) in forged.into_iter().zip(100..) {
        let sample = Sample::new(&format!("b/{seed}.img.gz"), noise(seed, 30_000));
        let mut session = Kept(Some(value.clone()));
        let stored = place.target().store(&sample.object(), KEEP, &mut session, &control);
        stored.unwrap_or_else(|e| panic!("{value}: {e}"));
        holds(place, &sample.name, Some(&sample.bytes));
    }
    no_leftovers(place);
}

/// What lies at the unfinished object's name may be anything.
pub fn is_not_confused_by_leftovers(place: &dyn Place) {
    let sample = Sample::new("l/x.img.gz", noise(21, 700_000));
    let mut changed = sample.bytes.clone();
    changed[600_000] ^= 1;
    let longer = [&sample.bytes[..], b"and more"].concat();
    let zeros = vec![0; 700_000];
    let leftovers =
        [&b"other"[..], b"", &changed, &longer, &zeros, &sample.bytes, &sample.bytes[..300_000]];
    for (left, number) in leftovers.iter().zip(0..) {
        let sample = Sample::new(&format!("l/{number}.img.gz"), sample.bytes.clone());
        let object = sample.object();
        if !place.leave(&object, left) {
            return;
        }
        for session in [None, Some(json!({"offset": left.len()}))] {
            place.leave(&object, left);
            let control = Control::default();
            place.target().store(&object, REPLACE, &mut Kept(session), &control).unwrap();
            holds(place, object.name, Some(&sample.bytes));
        }
    }
    no_leftovers(place);
}

/// A session in memory of somebody else.
#[derive(Default)]
pub struct Others(pub Kept);

impl Session for Others {
    fn owner(&self) -> String {
        "d3c2b1a0".to_owned()
    }

    fn last(&self) -> Option<Value> {
        self.0.last()
    }

    fn keep(&mut self, value: Value) -> Result<()> {
        self.0.keep(value)
    }
}

/// Whoever stores the same object at the same time does nothing to what another one has not
/// finished.
pub fn keeps_owners_apart(place: &dyn Place) {
    let control = Control::default();
    let sample = Sample::new("o/x.img.gz", noise(26, place.large()));
    let object = sample.object();
    let mut session = interrupted(place, &sample);
    let part = part_name(&object);
    let is_left = || place.names().map(|names| names.iter().any(|name| name.ends_with(&part)));
    let was_left = is_left();
    // Another one with the same session, and one that throws away.
    let mut others = Others(Kept(session.0.clone()));
    place.target().discard(&object, &others, &control).unwrap();
    assert_eq!(is_left(), was_left);
    let (watching, events) = watched(None);
    place.target().store(&object, KEEP, &mut others, &watching).unwrap();
    holds(place, object.name, Some(&sample.bytes));
    assert_eq!(is_left(), was_left);
    let begins_anew = |event: &Event| match event {
        Event::Begin { stage: "upload", from, .. } => *from == 0,
        _ => true,
    };
    assert!(events.lock().unwrap().iter().all(begins_anew));
    assert!(place.target().store(&object, KEEP, &mut session, &control).unwrap().already);
    holds(place, object.name, Some(&sample.bytes));
    no_leftovers(place);
}

/// What is unfinished is thrown away; also what is not there.
pub fn discards(place: &dyn Place) {
    let control = Control::default();
    let sample = Sample::new("d/x.img.gz", noise(22, place.large()));
    place.target().discard(&sample.object(), &Kept::default(), &control).unwrap();
    let session = interrupted(place, &sample);
    place.target().discard(&sample.object(), &session, &control).unwrap();
    no_leftovers(place);
    place.target().discard(&sample.object(), &session, &control).unwrap();
    // It did not harm what is finished, and the old session is of no harm.
    let mut session = session;
    place.target().store(&sample.object(), KEEP, &mut session, &control).unwrap();
    place.target().discard(&sample.object(), &session, &control).unwrap();
    holds(place, &sample.name, Some(&sample.bytes));
}

/// What is too large is not read.
pub fn fetches_within_bounds(place: &dyn Place) {
    let control = Control::default();
    let sample = Sample::new("f/x.cfg", noise(23, 5000));
    let target = place.target();
    target.store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
    assert_eq!(target.fetch("f/x.cfg", 5000, &control).unwrap().unwrap(), sample.bytes);
    for max in [4999, 1, 0] {
        target.fetch("f/x.cfg", max, &control).unwrap_err();
    }
    assert_eq!(target.fetch("f/none.cfg", 5000, &control).unwrap(), None);
    assert_eq!(target.fetch("no/such/folder/x", 5000, &control).unwrap(), None);
}

/// A plan says where the object will be, and does nothing.
pub fn plans(place: &dyn Place) {
    let sample = Sample::new("plan/x.img.gz", noise(24, 1234));
    let before = place.names();
    let target = place.target();
    let location = target.location(&sample.name);
    for found in [Found::Nothing, Found::Perhaps, Found::Other] {
        for how in [KEEP, REPLACE] {
            let plan = target.plan(&sample.object(), how, found).join("\n");
            assert!(plan.contains(&location), "{plan} does not name {location}");
        }
    }
    assert_eq!(target.look(&sample.object(), &Control::default()).unwrap(), Found::Nothing);
    assert_eq!(place.names(), before);
    assert!(!target.identity().is_empty());
    assert_eq!(target.identity(), place.target().identity());
}

/// Stages begin and end, and what they count only grows, up to what was announced.
pub fn tells_progress(place: &dyn Place) {
    let sample = Sample::new("e/x.img.gz", noise(25, place.large()));
    let (control, events) = watched(None);
    place.target().store(&sample.object(), KEEP, &mut Kept::default(), &control).unwrap();
    let (mut stage, mut stages) = (None, Vec::new());
    for event in events.lock().unwrap().iter() {
        match event {
            Event::Begin { stage: name, data, from, .. } => {
                assert!(stage.is_none(), "{name} begins inside a stage");
                assert!(data + from <= sample.bytes.len() as u64, "{name}: {data} from {from}");
                stages.push(*name);
                stage = Some((*data, 0));
            }
            Event::Advance { data, .. } => {
                let (all, done) = stage.as_mut().expect("progress outside of a stage");
                assert!(*done <= *data && *data <= *all, "{done}, then {data} of {all}");
                *done = *data;
            }
            Event::End => {
                let (all, done) = stage.take().expect("an end without a beginning");
                assert_eq!(done, all, "{stages:?}");
            }
            Event::Detail(_) | Event::Note(_) | Event::Warn(_) => {}
        }
    }
    assert!(stage.is_none(), "{stages:?} has no end");
    assert_eq!(stages.first(), Some(&"upload"));
}
