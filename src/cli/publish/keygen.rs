//! `stratus-publish keygen`: a key and a certificate of one's own.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::Keygen;
use super::{secret, signer::write_key};
use crate::cli::config::Site;
use crate::cli::talk::{Talk, printable};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::keys;
use crate::pipeline::publish::clock;

pub(super) fn run(args: &Keygen, site: &Site, control: &Control, talk: Talk) -> Result<u8> {
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from("cert.p12"));
    if path.as_os_str() == "-" {
        return Err(Error::new(Kind::Usage, "usage", "a key does not go to standard output")
            .remedy("name a file with -o"));
    }
    let exists = || {
        Error::new(Kind::CannotCreate, "output-exists", "this exists already")
            .at(&path)
            .remedy("name another file with -o; --force replaces it, and the key in it is lost")
    };
    if !args.force && crate::files::exists(&path)? {
        return Err(exists());
    }
    let pem = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("pem"));
    let password = match pem {
        true => secret::given(&args.password, site, control)?.map(not_empty).transpose()?,
        false => Some(password(args, site, &path, control)?),
    };
    let endorser =
        keys::generate(&args.name, &args.email, args.days, keys::DEFAULT_BITS, clock()?)?;
    let bytes = match &password {
        Some(password) if pem => endorser.to_encrypted_pem(password)?.into_bytes(),
        Some(password) => endorser.to_p12(password)?,
        None => endorser.to_pem()?.into_bytes(),
    };
    if !write_key(&path, &bytes, args.force)? {
        return Err(exists());
    }
    let name = path.to_string_lossy();
    talk.result_json(&json!({
        "schema": 1,
        "key": { "path": name, "subject": endorser.subject(), "email": args.email },
    }))?;
    talk.result(&format!(
        "{}\n  subject  {}\n  email    {}\n  valid    {} days\n",
        printable(&name),
        printable(endorser.subject()),
        printable(&args.email),
        args.days
    ))?;
    Ok(0)
}

/// The password for the new file: given, or asked for twice.
fn password(args: &Keygen, site: &Site, path: &Path, control: &Control) -> Result<String> {
    let password = match secret::given(&args.password, site, control)? {
        Some(password) => password,
        None => {
            let missing = || {
                Error::new(Kind::Usage, "key-password-missing", "the new file needs a password")
                    .remedy("give it with --password-file, --password-command or STRATUS_PASSWORD; a file .pem needs none")
            };
            let first = secret::asked(&format!("New password of {}", path.display()), control)?;
            let first = first.ok_or_else(missing)?;
            if secret::asked("Once more", control)?.as_deref() != Some(&first) {
                let message = "the two passwords are not the same";
                return Err(Error::new(Kind::Usage, "key-password-differs", message));
            }
            first
        }
    };
    not_empty(password)
}

fn not_empty(password: String) -> Result<String> {
    if password.is_empty() {
        return Err(Error::new(Kind::Usage, "key-password-empty", "the password is empty")
            .remedy("choose one, or name a file .pem and no password"));
    }
    Ok(password)
}
