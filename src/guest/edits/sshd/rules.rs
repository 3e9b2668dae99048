//! What may stay in a server's configuration, keyword by keyword.

use super::syntax::Directive;

/// What to do with a line, and what to tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Comment it out.
    pub(super) out: bool,
    /// Code and text of a warning.
    pub(super) warning: Option<(&'static str, &'static str)>,
}

const KEEP: Verdict = Verdict { out: false, warning: None };
const OUT: Verdict = Verdict { out: true, warning: None };

const fn tell(out: bool, code: &'static str, text: &'static str) -> Verdict {
    Verdict { out, warning: Some((code, text)) }
}

const SECOND_FACTOR: Verdict = tell(
    true,
    "sshd-methods",
    "it asked for more than a public key, what cannot be met without passwords; a key is enough now",
);
const KEYS_ELSEWHERE: Verdict = tell(
    false,
    "sshd-keys-elsewhere",
    "for some users, keys are not read from their own .ssh/authorized_keys",
);
const OTHER_KEYS: Verdict = tell(
    false,
    "sshd-other-keys",
    "keys that are not in the image are accepted, too; see that they are not the builder's",
);
const USERS_LIMITED: Verdict = tell(
    false,
    "sshd-users-limited",
    "it limits who may log in; see that root, or whom the cloud gives keys to, may",
);
const ROOT_LIMITED: Verdict =
    tell(false, "sshd-root-login", "for some connections, root may not log in");

/// Keywords that switch on passwords in some form. `skeyauthentication` and `tisauthentication`
/// are old names of `ChallengeResponseAuthentication` (servconf.c, `keywords`).
pub(super) const PASSWORDS: [&str; 5] = [
    "passwordauthentication",
    "challengeresponseauthentication",
    "kbdinteractiveauthentication",
    "skeyauthentication",
    "tisauthentication",
];

/// Judges a line, inside a `Match` block or outside of all.
///
/// Outside, the first value of a keyword counts, and the block at the top has it: what else is said
/// of the same is taken out, so that a reader is not misled. In a `Match` block a value overrides
/// the one at the top, so there only what opens a door is taken out.
pub(super) fn judge(said: &Directive, in_match: bool) -> Verdict {
    let is = |value: &str| said.arguments.first().is_some_and(|a| a.eq_ignore_ascii_case(value));
    match said.keyword.as_str() {
        keyword if PASSWORDS.contains(&keyword) => out_unless(in_match && is("no")),
        "permitrootlogin" if !in_match => OUT,
        "permitrootlogin" if is("no") => ROOT_LIMITED,
        "permitrootlogin" => out_unless(
            is("without-password") || is("prohibit-password") || is("forced-commands-only"),
        ),
        // Each offers a stranger something besides a key; without the line it is off.
        "permitemptypasswords"
        | "hostbasedauthentication"
        | "rhostsauthentication"
        | "rhostsrsaauthentication"
        | "kerberosauthentication"
        | "gssapiauthentication"
        | "gssapikeyexchange"
        | "pamauthenticationviakbdint" => out_unless(is("no")),
        // The second is an old name of the first.
        "pubkeyauthentication" | "dsaauthentication" => out_unless(is("yes")),
        "authorizedkeysfile" => keys_file(said, in_match),
        "authenticationmethods" | "requiredauthentications1" | "requiredauthentications2" => {
            methods(said)
        }
        "authorizedkeyscommand" | "trustedusercakeys" if !is("none") => OTHER_KEYS,
        "allowusers" | "allowgroups" | "denyusers" | "denygroups" => USERS_LIMITED,
        _ => KEEP,
    }
}

fn out_unless(keep: bool) -> Verdict {
    if keep { KEEP } else { OUT }
}

fn keys_file(said: &Directive, in_match: bool) -> Verdict {
    let own = [".ssh/authorized_keys", "%h/.ssh/authorized_keys"];
    let none = said.arguments.iter().any(|file| file.eq_ignore_ascii_case("none"));
    match said.arguments.iter().any(|file| own.contains(&file.as_str())) && !none {
        true => KEEP,
        false if in_match && !none => KEYS_ELSEWHERE,
        false => OUT,
    }
}

/// `AuthenticationMethods`: lists of methods, one of which has to be met as a whole.
fn methods(said: &Directive) -> Verdict {
    let key_only = |list: &String| list.split(',').all(|method| method == "publickey");
    let any = |list: &String| list.eq_ignore_ascii_case("any");
    let lists = &said.arguments;
    if !lists.is_empty() && lists.iter().all(|list| key_only(list) || any(list)) {
        KEEP
    } else if lists.iter().any(|list| key_only(list) || any(list)) {
        OUT
    } else {
        SECOND_FACTOR
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax::directive;
    use super::*;

    #[test]
    fn each_keyword_is_judged() {
        let out = |line: &str, in_match| judge(&directive(line).unwrap(), in_match).out;
        for (line, outside, inside) in [
            ("PasswordAuthentication no", true, false),
            ("PasswordAuthentication yes", true, true),
            ("SkeyAuthentication yes", true, true),
            ("PermitRootLogin yes", true, true),
            ("PermitRootLogin prohibit-password", true, false),
            ("PermitEmptyPasswords no", false, false),
            ("GSSAPIAuthentication yes", true, true),
            ("PubkeyAuthentication yes", false, false),
            ("PubkeyAuthentication no", true, true),
            ("AuthorizedKeysFile .ssh/authorized_keys /x", false, false),
            ("AuthorizedKeysFile none", true, true),
            ("AuthorizedKeysFile /etc/keys/%u", true, false),
            ("AuthenticationMethods publickey,password", true, true),
            ("AuthenticationMethods publickey any", false, false),
            ("UsePAM yes", false, false),
            ("UsePAM no", false, false),
        ] {
            assert_eq!((out(line, false), out(line, true)), (outside, inside), "{line}");
        }
    }
}
