//! Options of a daemon in a file of shell variables: `/etc/default/dropbear` and its like.
//!
//! Such files are read by shells and, as `EnvironmentFile=`, by systemd, which expands nothing. So
//! an option is added inside the value that is there.

use super::text::append;

/// The name and value of a line that sets a variable: where the value begins and ends in the line,
/// quotes not counted, and the quote.
struct Setting<'a> {
    value: &'a str,
    start: usize,
    quote: Option<char>,
}

/// `text` with `flag` added to every value of `variable`, or with a line for it at the end if
/// nothing sets it. A value for which `has` is true stays as it is. `None` if a value is written in
/// a way that cannot be added to.
pub(super) fn with_flag(
    text: &str,
    variable: &str,
    flag: &str,
    has: impl Fn(&str) -> bool,
) -> Option<String> {
    let (mut out, mut found) = (String::with_capacity(text.len() + 16), false);
    for line in text.split_inclusive('\n') {
        let Some(at) = value_at(line, variable) else {
            out.push_str(line);
            continue;
        };
        found = true;
        let setting = setting(line, at)?;
        if has(setting.value) {
            out.push_str(line);
            continue;
        }
        let end = setting.start + setting.value.len();
        let space = if setting.value.is_empty() { "" } else { " " };
        let quote = if setting.quote.is_none() { "\"" } else { "" };
        let (before, after) = (&line[..setting.start], &line[end..]);
        out.push_str(&format!("{before}{quote}{}{space}{flag}{quote}{after}", setting.value));
    }
    if !found {
        append(&mut out, &format!("{variable}=\"{flag}\"\n"));
    }
    Some(out)
}

/// Whether an active line of `text` sets `variable`.
pub(super) fn is_set(text: &str, variable: &str) -> bool {
    text.lines().any(|line| value_at(line, variable).is_some())
}

/// Where the value begins, if the line sets the variable.
pub(super) fn value_at(line: &str, variable: &str) -> Option<usize> {
    let trimmed = line.trim_start();
    let name = trimmed.strip_prefix("export ").map_or(trimmed, str::trim_start);
    let value = name.strip_prefix(variable)?.strip_prefix('=')?;
    Some(line.len() - value.len())
}

fn setting(line: &str, at: usize) -> Option<Setting<'_>> {
    let rest = &line[at..];
    let (value, start, quote, after) = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (value, after) = rest[1..].split_once(quote)?;
            (value, at + 1, Some(quote), after)
        }
        _ => {
            let end = rest.find(|c: char| c.is_whitespace() || c == ';').unwrap_or(rest.len());
            (&rest[..end], at, None, &rest[end..])
        }
    };
    let odd = if quote == Some('\'') { &[][..] } else { &['\\', '`', '('][..] };
    let plain = !value.contains(odd) && (quote.is_some() || !value.contains(['"', '\'', '$']));
    let after = after.trim();
    let ends = after.is_empty() || after.starts_with(['#', ';']);
    (plain && ends && !value.contains('\n')).then_some(Setting { value, start, quote })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(text: &str) -> Option<String> {
        with_flag(text, "ARGS", "-s", |value| value.split(' ').any(|word| word == "-s"))
    }

    #[test]
    fn the_flag_goes_into_the_value() {
        for (before, after) in [
            ("", "ARGS=\"-s\"\n"),
            ("#ARGS=\"\"", "#ARGS=\"\"\nARGS=\"-s\"\n"),
            ("ARGS=\n", "ARGS=\"-s\"\n"),
            ("ARGS=\"\"\nX=1\n", "ARGS=\"-s\"\nX=1\n"),
            ("ARGS=-j\n", "ARGS=\"-j -s\"\n"),
            (" export ARGS='-j -k' # why\n", " export ARGS='-j -k -s' # why\n"),
            ("ARGS=\"$MORE -k\"\nARGS=-w\n", "ARGS=\"$MORE -k -s\"\nARGS=\"-w -s\"\n"),
            ("ARGS=\"-j -s\"\n", "ARGS=\"-j -s\"\n"),
            ("MYARGS=1\n", "MYARGS=1\nARGS=\"-s\"\n"),
        ] {
            assert_eq!(add(before).unwrap(), after, "{before:?}");
            assert_eq!(add(after).unwrap(), after);
        }
    }

    #[test]
    fn what_is_not_plain_is_left() {
        for odd in ["ARGS=\"-j\n-k\"\n", "ARGS=$(x)\n", "ARGS=-j -k\n", "ARGS=\"a\"'b'\n"] {
            assert_eq!(add(odd), None, "{odd:?}");
        }
    }
}
