//! `stratus-publish deprecate`: a newer entry that says that the image must not be used any more.

use serde_json::json;

use super::args::Deprecate;
use super::{place, signer::signer};
use crate::cli::config::Site;
use crate::cli::talk::{Talk, printable};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::identifier;
use crate::pipeline::publish::{self as pipeline, Answer, clock};
use crate::publish::registry::DEPRECATED;

pub(super) fn run(args: &Deprecate, site: &Site, control: &Control, talk: Talk) -> Result<u8> {
    identifier::to_sha1(&args.identifier).map_err(|e| e.with_kind(Kind::Usage))?;
    if args.reason.trim().is_empty() {
        return Err(Error::new(Kind::Usage, "usage", "--reason is empty")
            .remedy("say why the image must not be used any more"));
    }
    let (registry, need) =
        place::registry(args.marketplace.as_deref(), &args.transport, site, control)?;
    let signer = signer(&args.signing, site, need, args.dry_run, (control, talk))?
        .ok_or_else(|| Error::new(Kind::Usage, "no-endorser", "no key is named"))?;
    let registry = registry.as_ref();
    let retired =
        pipeline::retire(&args.identifier, &args.reason, registry, &signer, clock, control);
    let (document, now) = match retired {
        Err(error) if error.code() == DEPRECATED => return already(args, &error, talk),
        retired => retired?,
    };
    if args.dry_run {
        let lines = registry.plan(&args.identifier, &signer.email()?);
        talk.result_json(&json!({"schema": 1, "plan": {"steps": lines}}))?;
        let text: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        return talk.result(&printable_lines(&text)).map(|()| 0);
    }
    let Answer { url, pending } = pipeline::register(&document, registry, now, control)?;
    talk.result_json(&json!({
        "schema": 1,
        "deprecated": { "identifier": args.identifier, "reason": args.reason, "url": url, "pending": pending },
    }))?;
    let text = match (&url, &pending) {
        (Some(url), _) => format!("deprecated\n  entry  {}", printable(url)),
        (None, pending) => {
            let why = printable(pending.as_deref().unwrap_or_default());
            format!("asked to deprecate\n  {why}\n  the same command again has another mail sent")
        }
    };
    talk.result(&format!("{}: {text}\n", args.identifier))?;
    Ok(0)
}

/// An earlier run has done it.
fn already(args: &Deprecate, why: &Error, talk: Talk) -> Result<u8> {
    talk.result_json(&json!({
        "schema": 1,
        "deprecated": { "identifier": args.identifier, "reason": args.reason, "already": true },
    }))?;
    talk.result(&format!(
        "{}: deprecated already\n  {}\n",
        args.identifier,
        printable(why.message())
    ))?;
    Ok(0)
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}
