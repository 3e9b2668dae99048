//! What the Guest Additions add to a desktop: the X driver and the client of each session.

use std::path::{Path, PathBuf};

use super::set_aside;
use crate::error::Result;
use crate::guest::edits::Bench;
use crate::guest::tree::Attributes;

/// Scripts that start `VBoxClient` with each session; without the device it complains in a window.
const SESSION_SCRIPTS: &[&str] = &[
    "/etc/X11/Xsession.d/98vboxadd-xclient",
    "/etc/X11/xinit/xinitrc.d/98vboxadd-xclient.sh",
    "/etc/X11/xinit/xinitrc.d/98vboxadd-xclient",
];

pub(super) fn disable(bench: &mut Bench<'_>) -> Result<()> {
    for path in bench.list("/etc/xdg/autostart")? {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let name = name.unwrap_or_default();
        if name.ends_with(".desktop") && (name.contains("vbox") || name.contains("virtualbox")) {
            hide(bench, &path)?;
        }
    }
    for path in SESSION_SCRIPTS {
        set_aside(bench, Path::new(path), "VirtualBox's client is not started")?;
    }
    let mut files = vec![PathBuf::from("/etc/X11/xorg.conf")];
    files.extend(bench.list("/etc/X11/xorg.conf.d")?);
    for path in files {
        let live = path.extension().is_some_and(|end| end == "conf");
        let text = if live { bench.text(&path)? } else { None };
        if text.is_some_and(|text| has_driver(&text)) {
            set_aside(bench, &path, "X configuration for VirtualBox's screen or mouse")?;
        }
    }
    Ok(())
}

/// `Driver "vboxvideo"`, in any case and spacing.
fn has_driver(text: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split_ascii_whitespace();
        let key = words.next().unwrap_or_default();
        let value = words.next().unwrap_or_default().trim_matches('"');
        key.eq_ignore_ascii_case("driver") && matches!(value, "vboxvideo" | "vboxmouse")
    })
}

/// `Hidden=true` in `[Desktop Entry]`: as if the file were deleted (Desktop Entry Specification,
/// "Recognized desktop entry keys"). What the file said of it before is dropped.
fn hide(bench: &mut Bench<'_>, path: &Path) -> Result<()> {
    let Some(text) = bench.text(path)? else { return Ok(()) };
    let mut new = String::with_capacity(text.len());
    let (mut inside, mut hidden) = (false, false);
    for line in text.split_inclusive('\n') {
        let word = line.trim_ascii();
        if word.starts_with('[') {
            let end = if line.ends_with('\n') { "" } else { "\n" };
            inside = word == "[Desktop Entry]" && !hidden;
            hidden |= inside;
            new.push_str(line);
            new.push_str(&if inside { format!("{end}Hidden=true\n") } else { String::new() });
        } else if !(inside
            && word.split_once('=').is_some_and(|(key, _)| key.trim_ascii() == "Hidden"))
        {
            new.push_str(line);
        }
    }
    bench.put(path, &new, Attributes::root(0o644), "VirtualBox's client is not started")
}
