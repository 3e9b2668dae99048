//! A plan is what the run will do, and making it does nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::places::{self, Place};
use super::user::{User, good};
use crate::common::{exits, stratus};
use crate::servers::market::Market;

/// All files below a folder, with their times.
fn tree(root: &Path) -> BTreeMap<String, (u64, std::time::SystemTime)> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let meta = entry.metadata().unwrap();
            if meta.is_dir() {
                folders.push(entry.path());
            }
            let name = entry.path().display().to_string();
            found.insert(name, (meta.len(), meta.modified().unwrap()));
        }
    }
    found
}

const READS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "PROPFIND"];

/// Method and path of what Apache was asked.
fn requests(place: &Place) -> Vec<(String, String)> {
    let log = fs::read_to_string(place.server.folder.path().join("access.log")).unwrap();
    let words = log.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    words.map(|words| (words[0].to_owned(), words[1].to_owned())).collect()
}

/// Those that change something.
fn changes(place: &Place) -> Vec<(String, String)> {
    let mut asked = requests(place);
    asked.retain(|(method, _)| !READS.contains(&method.as_str()));
    asked
}

/// With the digits of digests and owners, which a plan need not know, left out.
fn without_digits(text: &str) -> String {
    let text = text.replace("<16 digits of its sha256>", "#").replace('…', "#");
    let pieces = text.split_inclusive(|c: char| !c.is_ascii_hexdigit());
    let hidden = pieces.map(|piece| {
        let digits = piece.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
        if matches!(digits.len(), 8 | 16) { piece.replace(digits, "#") } else { piece.to_owned() }
    });
    hidden.collect()
}

/// Whether a line of the plan has the method among its first words, and then the URL: as a word, or
/// for folders as a beginning.
fn tells(line: &str, method: &str, url: &str) -> bool {
    let (what, _) = line.split_once(" (").unwrap_or((line, ""));
    let mut words = what.split([' ', ',']).filter(|word| !word.is_empty());
    let verbs: Vec<_> = words.by_ref().take_while(|word| !word.contains("://")).collect();
    verbs.contains(&method)
        && what.split(' ').any(|word| word == url || method == "MKCOL" && word.starts_with(url))
}

#[test]
fn a_plan_changes_nothing_and_tells_every_request() {
    let (place, user, market) = (places::apache("open/x"), User::new(), Market::start(&[]));
    user.disk("a.vdi", 1);
    let publish = |input: &str, more: &[&str]| {
        let more = [more, &["--tag", "t"]].concat();
        good(user.publish(input, &place.url(), &market.url(), &more).output().unwrap())
    };
    let plan = |input: &str| -> Vec<String> {
        let before = (tree(user.path("").as_path()), tree(&place.server.root()));
        let plan = publish(input, &["--dry-run"]);
        assert!(before == (tree(user.path("").as_path()), tree(&place.server.root())), "{plan}");
        assert_eq!((changes(&place), market.uploads()), (Vec::new(), 0), "{plan}");
        let steps = plan["plan"]["steps"].as_array().unwrap();
        steps.iter().map(|step| without_digits(step.as_str().unwrap())).collect()
    };
    let of_disk = plan("a.vdi");
    assert!(of_disk[0].starts_with("convert a.vdi to a.img.gz"), "{of_disk:?}");
    let converted = stratus(&user.path("")).args(["a.vdi", "--no-context"]).output().unwrap();
    exits(&converted, 0);
    let of_image = plan("a.img.gz");

    let before = requests(&place).len();
    publish("a.img.gz", &[]);
    assert_eq!(market.uploads(), 1);
    let made = requests(&place).split_off(before);
    for method in ["PUT", "MOVE", "MKCOL", "GET", "HEAD"] {
        assert!(made.iter().any(|(m, _)| m == method), "{made:?}");
    }
    // -v tells what is asked, as it is asked.
    let more = ["--tag", "t", "-v", "--dry-run"];
    let output = user.publish("a.img.gz", &place.url(), &market.url(), &more).output().unwrap();
    let told = format!("detail: HEAD {}/a.img.gz: 200", place.url());
    assert!(String::from_utf8_lossy(&output.stderr).contains(&told), "{output:?}");

    let origin = format!("http://127.0.0.1:{}", place.server.port);
    for plan in [of_disk, of_image] {
        for (method, path) in &made {
            let url = without_digits(&format!("{origin}{path}"));
            assert!(
                plan.iter().any(|line| tells(line, method, &url)),
                "{method} {url} is not in {plan:#?}"
            );
        }
        let post = format!("{}/metadata", market.url());
        assert!(plan.iter().any(|line| tells(line, "POST", &post)), "{plan:#?}");
    }
}
