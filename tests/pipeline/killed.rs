//! Programs that are killed at any moment, and new ones that go on.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::full;
use super::places::{self, Place};
use super::user::{NOISE, User, canonical, checks, good};
use crate::servers::market::Market;

/// So slow that the upload takes most of a second: kills hit it, too.
const SLOW: [&str; 2] = ["--limit-upload", "6M"];

/// One publication that is killed now and then.
struct Round<'a> {
    place: &'a Place,
    user: &'a User,
    market: &'a Market,
    stem: String,
}

impl<'a> Round<'a> {
    fn new(place: &'a Place, user: &'a User, market: &'a Market, number: u64) -> Self {
        let stem = format!("d{number}");
        user.disk(&format!("{stem}.vdi"), number);
        Round { place, user, market, stem }
    }

    /// True if it came to its end before it was killed.
    fn run(&self, patience: Duration) -> bool {
        let (disk, url) = (format!("{}.vdi", self.stem), self.place.url());
        let mut command = self.user.publish(&disk, &url, &self.market.url(), &SLOW);
        let output = |name| fs::File::create(self.user.path(name)).unwrap();
        command.stdout(output("out")).stderr(output("err"));
        let mut child = command.spawn().unwrap();
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = child.try_wait().unwrap() {
                let said =
                    ["out", "err"].map(|name| fs::read_to_string(self.user.path(name)).unwrap());
                assert!(status.success(), "{}: {status} {said:?}", self.place.path);
                return true;
            }
            thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        false
    }

    /// At any moment: what has the final name is whole, and an entry is about what is there.
    fn nothing_false(&self, direct: bool) {
        let stored = fs::read(self.place.path_of(&format!("{}.img.gz", self.stem)));
        let local = fs::read(self.user.path(&format!("{}.img.gz", self.stem)));
        let same = matches!((&stored, &local), (Ok(stored), Ok(local)) if stored == local);
        assert!(direct || stored.is_err() || same, "{}: unfinished", self.place.path);
        if self.entries() > 0 {
            assert!(same, "{}: an entry without an image", self.place.path);
        }
    }

    /// How many entries have a location of this image.
    fn entries(&self) -> usize {
        let location = format!("{}/{}.img.gz<", self.place.url(), self.stem);
        let entries = self.market.entries().into_values();
        entries.filter(|entry| String::from_utf8_lossy(entry).contains(&location)).count()
    }

    /// The end is the same as without a kill.
    fn ends(&self) {
        let (disk, url) = (format!("{}.vdi", self.stem), self.place.url());
        let mut command = self.user.publish(&disk, &url, &self.market.url(), &[]);
        let last = good(command.stderr(Stdio::null()).output().unwrap());
        self.nothing_false(false);
        assert_eq!(self.entries(), 1, "{}: {last}", self.place.path);
        checks(&self.place.path_of(&format!("{}.img.gz.sha256", self.stem)));
        let entries = self.market.entries().into_values();
        let entries: Vec<_> = entries.map(|entry| canonical(&entry)).collect();
        let manifest = fs::read(self.place.path_of(&format!("{}.xml", self.stem))).unwrap();
        assert!(entries.contains(&canonical(&manifest)), "{}", self.place.path);
        self.place.is_clean();
    }
}

fn is_killed(place: &Place, direct: bool) {
    let (user, market) = (User::new(), Market::start(&[]));
    let seed = fastrand::u64(..);
    println!("{}: seed {seed}", place.path);
    let mut random = fastrand::Rng::with_seed(seed);
    // Undisturbed; half of what is sent is waited for.
    let began = Instant::now();
    assert!(Round::new(place, &user, &market, 0).run(Duration::from_secs(60)));
    let takes = began.elapsed();
    assert!(takes > Duration::from_secs_f64(NOISE as f64 / 2.0 / (6 << 20) as f64), "{takes:?}");
    let (kills, mut killed, mut number) = (if full() { 20 } else { 5 }, 0, 0);
    while killed < kills {
        number += 1;
        let round = Round::new(place, &user, &market, number);
        for _ in 0..3 {
            let done = round.run(takes.mul_f64(random.f64()));
            round.nothing_false(direct);
            if done {
                break;
            }
            killed += 1;
        }
        round.ends();
    }
}

#[test]
fn killed_anywhere_it_goes_on_to_the_same_end() {
    thread::scope(|scope| {
        scope.spawn(|| is_killed(&places::apache("open/x"), false));
        scope.spawn(|| is_killed(&places::nginx("open/x"), false));
        scope.spawn(|| is_killed(&places::nginx("put/x"), true));
        scope.spawn(|| is_killed(&places::lighttpd(true), false));
        scope.spawn(|| is_killed(&places::lighttpd(false), false));
    });
}

/// A run that is killed between the requests that try the server leaves their three bytes.
#[test]
fn what_tries_a_server_is_found_again() {
    for start in
        [|| places::apache("open/x"), || places::nginx("open/x"), || places::lighttpd(true)]
    {
        let (place, user, market) = (start(), User::new(), Market::start(&[]));
        user.disk("a.vdi", 1);
        // Its name, seen while it is there: on a busy machine not at the first time.
        let publish = |folder: &str| {
            let url = format!("{}/{folder}", place.url());
            user.publish("a.vdi", &url, &market.url(), &[])
        };
        let seen = (0..50).find_map(|number| {
            let mut publish = publish(&number.to_string());
            let child = publish.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            probe_of(child, &place.path_of(&number.to_string())).map(|probe| (number, probe))
        });
        let (number, seen) = seen.expect("it was never there");
        let folder = number.to_string();
        // lighttpd and a MOVE put more behind it.
        let name = &seen[..".stratus-probe-".len() + 16 + 1 + 8];
        for end in ["", ".b"] {
            fs::write(place.path_of(&folder).join(format!("{name}{end}")), "abc").unwrap();
        }
        let output = publish(&folder).output().unwrap();
        println!("{}", place.server.log());
        good(output);
        place.is_clean();
    }
}

/// Kills the program as soon as there is a probe in the folder: its name. None if it had ended, or was
/// beyond that when it was killed.
fn probe_of(mut child: Child, folder: &Path) -> Option<String> {
    let found = loop {
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let probe = names.find(|name| name.starts_with(".stratus-probe-"));
        if probe.is_some() || child.try_wait().unwrap().is_some() {
            break probe;
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    found.filter(|_| names.all(|name| name.starts_with(".stratus-probe-")))
}
