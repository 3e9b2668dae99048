//! Connections that break, between the program and either server.

use std::fs;
use std::sync::Mutex;
use std::thread;

use super::full;
use super::places::{self, Place};
use super::user::{User, canonical, good};
use crate::cutter::{Cut, Cutter};
use crate::servers::market::Market;

/// In thousandths of a body: 0, 1, 50, 95, 99.9 % and after the last byte.
const WHERE: [u64; 6] = [0, 10, 500, 950, 999, 1000];

/// Cuts the way to the repository and that to the marketplace, once each: the image, and the
/// manifest on its way there (`reply` is false) or back.
fn is_cut(place: &Place, market: &Market, user: &User, permille: u64, reply: bool) {
    let to_repository =
        Cutter::new(place.server.port, Cut { least: 100_000, permille, times: 1, reply });
    let to_market = Cutter::new(market.port(), Cut { least: 2_000, permille, times: 1, reply });
    let stem = format!("c{permille}-{reply}");
    user.disk(&format!("{stem}.vdi"), permille * 2 + u64::from(reply));
    let repository = format!("http://127.0.0.1:{}/{}", to_repository.port, place.path);
    let marketplace = format!("http://127.0.0.1:{}", to_market.port);
    let mut publish = user.publish(&format!("{stem}.vdi"), &repository, &marketplace, &[]);
    let output = publish.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let published = good(output);
    for (cutter, what) in [(&to_repository, "repository"), (&to_market, "marketplace")] {
        // After the last byte of a reply nothing is missing.
        let certain = permille < 1000 || !reply;
        assert!(cutter.cuts() == 1 || !certain, "{what} {permille} {reply}: {said}");
    }
    assert_eq!(published["published"]["entry"]["pending"], serde_json::Value::Null);
    let image = format!("{stem}.img.gz");
    let stored = fs::read(place.path_of(&image)).unwrap();
    assert!(stored == fs::read(user.path(&image)).unwrap(), "{permille} {reply}: it differs");
    let location = format!("{repository}/{image}<");
    let entries = market.entries().into_values();
    let of_it: Vec<_> =
        entries.filter(|e| String::from_utf8_lossy(e).contains(&location)).collect();
    assert_eq!(of_it.len(), 1, "{permille} {reply}: {said}");
    let manifest = fs::read(user.path(&format!("{stem}.xml"))).unwrap();
    assert_eq!(canonical(&of_it[0]), canonical(&manifest));
}

fn cut_everywhere(place: &Place) {
    let (user, market) = (User::new(), Market::start(&[]));
    let cases = WHERE.iter().flat_map(|permille| [(*permille, false), (*permille, true)]);
    let cases = Mutex::new(cases);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let next = cases.lock().unwrap().next();
                    let Some((permille, reply)) = next else { return };
                    is_cut(place, &market, &user, permille, reply);
                }
            });
        }
    });
    place.is_clean();
}

#[test]
fn cut_anywhere_it_ends_well_with_one_entry() {
    cut_everywhere(&places::apache("open/x"));
    if full() {
        cut_everywhere(&places::nginx("open/x"));
        cut_everywhere(&places::lighttpd(true));
        cut_everywhere(&places::lighttpd(false));
    }
}
