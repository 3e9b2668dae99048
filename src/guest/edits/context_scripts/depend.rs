//! `.depend.boot` and `.depend.start`: the order of init scripts that insserv(8) has worked out, in
//! the form of a makefile. startpar(1) starts what is in `TARGETS`, and nothing else.
//!
//! ```text
//! TARGETS = udev mountall.sh networking
//! INTERACTIVE = udev
//! networking: mountall.sh
//! ```

use std::collections::{BTreeMap, BTreeSet};

/// Where a script belongs.
pub(super) struct Place {
    /// What comes before it, as far as it is there.
    pub after: &'static [&'static str],
    /// What comes after it, as far as it is there.
    pub before: &'static [&'static str],
}

const TARGETS: &str = "TARGETS =";
/// Bytes of such a file; insserv's own has some thousands.
const MAX_ORDER: usize = 256 << 10;

/// The text with `name` at its place; as it is, if `name` has one. `None` if this is no such file.
pub(super) fn with_target(text: &str, name: &str, place: &Place) -> Option<String> {
    if text.len() > MAX_ORDER {
        return None;
    }
    let targets: Vec<&str> =
        text.lines().find_map(|line| line.strip_prefix(TARGETS))?.split_whitespace().collect();
    if targets.contains(&name) {
        return Some(text.to_owned());
    }
    let there = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().filter(|name| targets.contains(name)).copied().collect()
    };
    let before = there(place.before);
    // What itself waits for one of these cannot be waited for.
    let waiting = waiting_for(text, &before);
    let mut after = there(place.after);
    after.retain(|script| !waiting.contains(script));

    let mut out = String::with_capacity(text.len() + 256);
    let mut extended = BTreeSet::new();
    let mut listed = false;
    for line in text.split_inclusive('\n') {
        let (bare, end) = line.split_at(line.trim_end_matches(['\n', '\r']).len());
        out.push_str(bare.trim_end());
        if bare.starts_with(TARGETS) && !listed {
            out.push(' ');
            out.push_str(name);
            listed = true;
        } else if let Some((target, _)) = rule(bare)
            && before.contains(&target)
            && extended.insert(target)
        {
            out.push(' ');
            out.push_str(name);
        }
        out.push_str(if end.is_empty() { "\n" } else { end });
    }
    if !after.is_empty() {
        out.push_str(&format!("{name}: {}\n", after.join(" ")));
    }
    for target in before.iter().filter(|target| !extended.contains(*target)) {
        out.push_str(&format!("{target}: {name}\n"));
    }
    Some(out)
}

/// `target: what it waits for`.
fn rule(line: &str) -> Option<(&str, Vec<&str>)> {
    let (target, waits) = line.split_once(':')?;
    let target = target.trim();
    (!target.is_empty() && !target.contains([' ', '=', '#']))
        .then(|| (target, waits.split_whitespace().collect()))
}

/// The scripts that wait for one of `goals`, themselves or by others, and the goals.
fn waiting_for<'t>(text: &'t str, goals: &[&'t str]) -> BTreeSet<&'t str> {
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (target, scripts) in text.lines().filter_map(rule) {
        scripts.into_iter().for_each(|script| waiting.entry(script).or_default().push(target));
    }
    let (mut open, mut seen) = (goals.to_vec(), BTreeSet::new());
    while let Some(script) = open.pop() {
        if seen.insert(script) {
            open.extend(waiting.get(script).into_iter().flatten());
        }
    }
    seen
}
