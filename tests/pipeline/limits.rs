//! What a run may use: the line, and memory.

use std::fs::File;
use std::time::{Duration, Instant};

use super::places;
use super::user::{User, good};
use crate::common::{PUBLISH, judge};
use crate::servers::market::Market;

#[test]
fn a_limit_of_the_line_is_kept() {
    let (place, user, market) = (places::nginx("open/x"), User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let began = Instant::now();
    let more = ["--limit-upload", "1M"];
    good(user.publish("a.vdi", &place.url(), &market.url(), &more).output().unwrap());
    let took = began.elapsed();
    // 3 MiB; the first of it may go at once.
    assert!((Duration::from_millis(2500)..Duration::from_secs(6)).contains(&took), "{took:?}");
}

/// Runs a program and tells the most memory that it had, in KiB.
const WATCHED: &str = "import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print('\\nKiB', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)";

#[test]
fn a_large_image_needs_little_memory() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    File::create(user.path("a.raw")).unwrap().set_len(300 << 20).unwrap();
    let more = ["-C", "none", "--input-format", "raw", "--kind", "disk"];
    let program = user.publish("a.raw", &place.url(), &market.url(), &more);
    let mut watched = judge("python3", "python3-minimal");
    watched.args(["-c", WATCHED, PUBLISH]).args(program.get_args());
    watched.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = watched.current_dir(user.path("")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let published = good(output);
    assert_eq!(published["published"]["proof"], "read back");
    assert_eq!(published["published"]["file"]["bytes"], 300 << 20);
    let line = said.lines().find_map(|line| line.strip_prefix("KiB ")).unwrap();
    let kib: u64 = line.parse().unwrap();
    println!("{kib} KiB");
    assert!(kib < 150 << 10, "{kib} KiB");
}
