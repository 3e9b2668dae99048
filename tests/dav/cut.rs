//! Connections that break in the middle of a body, in either direction.

use stratus::control::Control;
use stratus::publish::Target;
use stratus::publish::dav::DavTarget;
use url::Url;

use super::cutter::{Cut, Cutter};
use super::full;
use super::servers::{Server, apache, lighttpd, nginx};
use super::targets::{KEEP, Kept, Sample, noise, watched};
use super::transport;

/// Stores through a cutter. A server that only sees the cutter's port takes the full destination
/// of a `MOVE` for another server's: this tries the other form, too.
fn store(server: &Server, path: &str, permille: u64, reply: bool, times: usize) {
    let cut = Cut { least: 100_000, permille, times, reply };
    let cutter = Cutter::new(server.port, cut);
    let base = Url::parse(&format!("http://127.0.0.1:{}/{path}", cutter.port)).unwrap();
    let target = DavTarget::new(&base, &transport()).unwrap().with_pieces(600_000);
    let name = format!("cut-{permille}-{reply}-{times}.img.gz");
    let sample = Sample::new(&name, noise(permille, 1_500_000));
    let (control, events) = watched(None);
    let stored = target.store(&sample.object(), KEEP, &mut Kept::default(), &control);
    let stored = stored.unwrap_or_else(|e| panic!("{path} {cut:?}: {e} {:?}", events.lock()));
    assert_eq!(stored.proof, "read back");
    // After a late cut it may be complete, or too short to count.
    let least = times.min(1);
    assert!((least..=times).contains(&cutter.cuts()), "{path} {cut:?}: {}", cutter.cuts());
    let direct = DavTarget::new(&server.url(path), &transport()).unwrap();
    let there = direct.fetch(&name, 2_000_000, &Control::default()).unwrap().unwrap();
    assert!(there == sample.bytes, "{path} {cut:?}");
    let left: Vec<_> = server.names().into_iter().filter(|name| name.contains(".part")).collect();
    assert!(left.is_empty(), "{path} {cut:?}: {left:?}");
}

/// In thousandths of a body: 0, 1, 50, 95, 99.9 % and after the last byte.
const WHERE: [u64; 6] = [0, 10, 500, 950, 999, 1000];

fn cut_everywhere(server: &Server, path: &str) {
    for permille in WHERE {
        store(server, path, permille, false, 1);
        if full() || permille == 500 {
            store(server, path, permille, true, 1);
            store(server, path, permille, false, 3);
            store(server, path, permille, true, 3);
        }
    }
}

#[test]
fn apache_is_cut() {
    cut_everywhere(&apache::start(apache::Options::default()), "open/x");
}

#[test]
fn nginx_is_cut() {
    cut_everywhere(&nginx::start(None), "open/x");
}

#[test]
fn lighttpd_is_cut() {
    let server = lighttpd::start(None);
    cut_everywhere(&server, "open/x");
    cut_everywhere(&server, "nopart/x");
}
