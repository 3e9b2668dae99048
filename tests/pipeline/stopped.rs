//! A run that is asked to stop.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::places::{self, Place};
use super::user::{User, good};
use crate::servers::market::Market;

/// Stops it in the middle of the upload, and goes on.
fn is_stopped(place: &Place, user: &User, market: &Market) {
    let slow = ["--limit-upload", "1M"];
    let mut publish = user.publish("a.vdi", &place.url(), &market.url(), &slow);
    publish.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = publish.spawn().unwrap();
    thread::sleep(Duration::from_millis(1800));
    let began = Instant::now();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert!(place.names().iter().all(|name| name.ends_with(".part")), "{:?}", place.names());
    assert_eq!(market.uploads(), 0);
    good(user.publish("a.vdi", &place.url(), &market.url(), &[]).output().unwrap());
    assert_eq!(market.entries().len(), 1);
    place.is_clean();
}

#[test]
fn asked_to_stop_it_stops_and_goes_on_later() {
    let (user, market) = (User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let place = places::apache("open/x");
    is_stopped(&place, &user, &market);
    // At the byte where it was.
    let log = place.server.log();
    let from = |line: &str| -> Option<u64> {
        line.split_once("range=bytes ")?.1.split_once('-')?.0.parse().ok()
    };
    // What tries the server is at byte 2.
    let last = log.lines().filter_map(from).filter(|from| *from != 2).max().unwrap();
    assert!(last > 256 << 10, "it began again: {log}");
}

#[test]
fn asked_to_stop_at_a_server_without_parts() {
    let (user, market) = (User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    is_stopped(&places::nginx("open/x"), &user, &market);
}
