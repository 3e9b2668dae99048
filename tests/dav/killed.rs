//! Processes that are killed in the middle of an upload, and others that go on.
//!
//! The child is this very test program, which runs only the hidden test `child`.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use stratus::control::Control;
use stratus::error::Result;
use stratus::publish::dav::DavTarget;
use stratus::publish::{Session, Target};
use url::Url;

use super::servers::{Server, apache, lighttpd, nginx};
use super::targets::{KEEP, OWNER, Sample, noise};
use super::{full, transport};

const CHILD: &str = "STRATUS_TEST_DAV_CHILD";
const LEN: usize = 3_000_000;

/// A session in a file, replaced as a whole.
struct InFile(PathBuf);

impl Session for InFile {
    fn owner(&self) -> String {
        OWNER.to_owned()
    }

    fn last(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(&self.0).ok()?).ok()
    }

    fn keep(&mut self, value: Value) -> Result<()> {
        let new = self.0.with_extension("new");
        fs::write(&new, value.to_string()).unwrap();
        fs::rename(new, &self.0).unwrap();
        Ok(())
    }
}

/// Does nothing, unless it is the child.
#[test]
fn child() {
    let Ok(words) = std::env::var(CHILD) else { return };
    let [url, session, name]: [&str; 3] =
        words.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
    let mut transport = transport();
    // As slow as a line: there is time to be killed.
    transport.limit = Some(8 << 20);
    let url = Url::parse(url).unwrap();
    let target = DavTarget::new(&url, &transport).unwrap().with_pieces(1 << 20);
    let sample = Sample::new(name, noise(77, LEN));
    let mut session = InFile(session.into());
    let stored = target.store(&sample.object(), KEEP, &mut session, &Control::default());
    assert_eq!(stored.unwrap().proof, "read back");
}

/// Kills at random moments until a child has come to its end.
fn is_killed(server: &Server, path: &str) {
    let folder = tempfile::tempdir().unwrap();
    let kills = if full() { 20 } else { 5 };
    let reader = DavTarget::new(&server.url(path), &transport()).unwrap();
    let seed = fastrand::u64(..);
    eprintln!("{path}: seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        let name = format!("x-{round}.img.gz");
        let session = folder.path().join(&name);
        let mut run = |patience: Option<Duration>| {
            let words = format!("{} {} {name}", server.url(path), session.display());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["killed::child", "--exact", "--nocapture"])
                .env(CHILD, words)
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let begin = Instant::now();
            while child.try_wait().unwrap().is_none() {
                if patience.is_some_and(|patience| begin.elapsed() > patience) {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    killed += 1;
                    return false;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            assert!(child.wait().unwrap().success(), "{path}: the child failed");
            true
        };
        let mut done = false;
        for _ in 0..3 {
            done |= run(Some(Duration::from_millis(random.u64(30..700))));
            // A reader finds all of it or nothing.
            let there = reader.fetch(&name, LEN as u64, &Control::default()).unwrap();
            assert!(there.is_none_or(|there| there == noise(77, LEN)), "{path}: a part was seen");
        }
        if !done {
            run(None);
        }
        let there = reader.fetch(&name, LEN as u64, &Control::default()).unwrap().unwrap();
        assert!(there == noise(77, LEN), "{path}");
        let left = server.names();
        assert!(!left.iter().any(|name| name.contains(".part")), "{path}: {left:?}");
    }
}

#[test]
fn killed_at_apache() {
    is_killed(&apache::start(apache::Options::default()), "open/x");
}

#[test]
fn killed_at_nginx() {
    is_killed(&nginx::start(None), "open/x");
}

#[test]
fn killed_at_lighttpd() {
    let server = lighttpd::start(None);
    is_killed(&server, "open/x");
    is_killed(&server, "nopart/x");
}
