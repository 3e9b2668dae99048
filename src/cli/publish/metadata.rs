//! `stratus-publish metadata`: manifests without a repository and without a marketplace.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{Build, Files, Metadata, Sign, Verify};
use super::signer::{Need, signer};
use super::{described, place};
use crate::cli::config::Site;
use crate::cli::talk::{Talk, printable};
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::signature::{self, Verified};
use crate::metadata::{Manifest, validate};
use crate::pipeline::publish::{self as pipeline, clock, inflate};
use crate::pipeline::verify as record_verify;

pub(super) fn run(command: &Metadata, site: &Site, control: &Control, talk: Talk) -> Result<u8> {
    match command {
        Metadata::Build(args) => build(args, site, control, talk),
        Metadata::Sign(args) => sign(args, site, control, talk),
        Metadata::Validate(args) => each(&args.files, talk, |path| validate_one(path, talk)),
        Metadata::Show(args) => show(args, talk),
        Metadata::Verify(args) => verify(args, site, control, talk),
    }
}

/// Does something with each file; one's error does not stop the others.
fn each(files: &[PathBuf], talk: Talk, work: impl Fn(&Path) -> Result<()>) -> Result<u8> {
    let mut failed = Vec::new();
    for path in files {
        if let Err(error) = work(path) {
            if files.len() == 1 {
                return Err(error);
            }
            talk.error(&error);
            failed.push(error);
        }
    }
    Ok(if failed.is_empty() { 0 } else { Kind::SomeFailed.exit_code() })
}

/// Writes a manifest to `output`, or to standard output. What has this name is replaced if it is
/// `own`, or with `force`.
fn write(output: &Path, text: &str, own: bool, force: bool) -> Result<()> {
    if output.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        return written.map_err(|e| {
            let kind = match e.kind() {
                std::io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
                _ => Kind::Io,
            };
            Error::new(kind, "stdout", "cannot write the manifest").because(e)
        });
    }
    may_write(output, own, force)?;
    pipeline::write_manifest(output, text.as_bytes())
}

fn may_write(output: &Path, own: bool, force: bool) -> Result<()> {
    if own || force || output.as_os_str() == "-" || !crate::files::exists(output)? {
        return Ok(());
    }
    Err(Error::new(Kind::CannotCreate, "output-exists", "this exists already")
        .at(output)
        .remedy("replace it with --force, or name another file with -o"))
}

fn build(args: &Build, site: &Site, control: &Control, talk: Talk) -> Result<u8> {
    let output = args.output.clone().unwrap_or_else(|| pipeline::manifest_beside(&args.image));
    // Before the image is read, which may take its time.
    may_write(&output, false, args.force)?;
    args.location.iter().try_for_each(|location| super::is_location(location))?;
    let (record, digests) =
        record_verify::verify_and_digest(&args.image, &[crate::digest::Algorithm::Sha1], control)?;
    let sha1 = digests.get("sha1").map(String::as_str).unwrap_or_default();
    let said = described(&args.describing, site)?;
    let mut manifest = said.manifest(&record, sha1)?;
    said.date(&mut manifest, clock()?)?;
    args.location.iter().try_for_each(|location| pipeline::without_secret(location))?;
    manifest.locations = args.location.iter().cloned().collect();
    manifest.remarks().iter().for_each(|remark| talk.warn(remark));
    write(&output, &manifest.to_xml()?, false, args.force)?;
    written(&output, &manifest, talk)
}

fn written(output: &Path, manifest: &Manifest, talk: Talk) -> Result<u8> {
    if output.as_os_str() == "-" {
        return Ok(0);
    }
    let identifier = manifest.identifier()?;
    talk.result_json(&json!({
        "schema": 1,
        "manifest": { "path": output.to_string_lossy(), "identifier": identifier },
    }))?;
    let name = printable(&output.display().to_string());
    talk.result(&format!("{name}\n  identifier  {identifier}\n"))?;
    Ok(0)
}

fn sign(args: &Sign, site: &Site, control: &Control, talk: Talk) -> Result<u8> {
    let target = args.output.clone().map_or_else(|| in_place(&args.file), Ok)?;
    let text = pipeline::read_manifest(&args.file)?;
    let now = clock()?;
    let signer = signer(&args.signing, site, Need::Marketplace, false, (control, talk))?
        .ok_or_else(|| Error::new(Kind::Usage, "no-endorser", "no key is named"))?;
    let text = std::str::from_utf8(&text).map_err(|_| {
        Error::new(Kind::Damaged, "xml-encoding", "the manifest is not UTF-8").at(&args.file)
    })?;
    let signed = pipeline::sign(text, &signer, now).map_err(|e| e.at(&args.file))?;
    // Before anything is written: a manifest that contradicts itself is not to carry a signature.
    let manifest = Manifest::from_xml(signed.as_bytes()).map_err(|e| e.at(&args.file))?;
    manifest.identifier()?;
    pipeline::tell(&signature::verify(signed.as_bytes(), now)?, control);
    for stage in validate::validate(signed.as_bytes(), now).stages {
        if !stage.verdict.passed() {
            let findings = stage.verdict.findings().join("; ");
            let name = stage.name;
            talk.warn(&format!(
                "the manifest is not valid, and is signed: {name}: {findings:.1000}"
            ));
        }
    }
    write(&target, &signed, args.output.is_none(), args.force)?;
    written(args.output.as_ref().unwrap_or(&args.file), &manifest, talk)
}

/// The file that is replaced by what it says, signed. A link stays one, and what is no file stays
/// what it is.
fn in_place(file: &Path) -> Result<PathBuf> {
    let cannot = |e| Error::io("manifest-read", "cannot read the manifest", file, e);
    let target = std::fs::canonicalize(file).map_err(cannot)?;
    if target.metadata().map_err(cannot)?.is_file() {
        return Ok(target);
    }
    Err(Error::new(Kind::CannotCreate, "output-exists", "this is no file that can be replaced")
        .at(file)
        .remedy("name the signed manifest with -o"))
}

fn validate_one(path: &Path, talk: Talk) -> Result<()> {
    let report = validate::validate(&pipeline::read_manifest(path)?, clock()?);
    talk.result_json(&json!({
        "schema": 1,
        "validate": { "path": path.to_string_lossy(), "report": report.to_json() },
    }))?;
    let name = printable(&path.display().to_string());
    let verdict = if report.valid() { "valid" } else { "not valid" };
    let mut text = format!("{name}: {verdict}\n");
    for stage in &report.stages {
        let _ = writeln!(text, "  {:<12} {}", stage.name, stage.verdict.name());
        for finding in stage.verdict.findings() {
            let _ = writeln!(text, "               {}", printable(finding));
        }
    }
    talk.result(&text)?;
    if report.valid() {
        return Ok(());
    }
    Err(Error::new(Kind::Damaged, "manifest-invalid", "the manifest is not valid")
        .at(path)
        .remedy("the stages say why; build and sign it again"))
}

fn show(args: &Files, talk: Talk) -> Result<u8> {
    each(&args.files, talk, |path| {
        let manifest =
            Manifest::from_xml(&pipeline::read_manifest(path)?).map_err(|e| e.at(path))?;
        talk.result_json(&json!({
            "schema": 1,
            "manifest": manifest.to_json(),
            "path": path.to_string_lossy(),
        }))?;
        let name = printable(&path.display().to_string());
        let lines: String = manifest.lines().iter().map(|line| format!("  {line}\n")).collect();
        talk.result(&format!("{name}\n{lines}"))
    })
}

/// The signature first: what is not vouched for is not worth a comparison. Everything is read from
/// what the signature covers.
fn verify(args: &Verify, site: &Site, control: &Control, talk: Talk) -> Result<u8> {
    let refused = |e: Error| e.with_kind(Kind::Mismatch).at(&args.file);
    let verified =
        signature::verify(&pipeline::read_manifest(&args.file)?, clock()?).map_err(refused)?;
    let manifest = Manifest::from_xml(&verified.octets).map_err(refused)?;
    for warning in &verified.warnings {
        talk.warn(&warning.message);
    }
    let image = args.image.to_string_lossy();
    if super::way::is_http(&image) {
        place::compare_url(&image, &args.transport, site, &manifest, control)?;
    } else {
        let file = std::fs::File::open(&args.image).map_err(|e| {
            Error::io("image-missing", "cannot read the image", &args.image, e)
                .remedy("name the image's file, or its http(s):// URL")
        })?;
        inflate::compare(file, &manifest, control).map_err(|e| e.at(&args.image))?;
    }
    let Verified { email, subject, issuer, certificate, .. } = &verified;
    // Anybody can write a name into a certificate of their own: what tells it apart is its digest.
    let digest = crate::digest::sha256(certificate.der());
    let own = if subject == issuer { "self-signed" } else { "issued by another" };
    let identifier = manifest.identifier()?;
    talk.result_json(&json!({
        "schema": 1,
        "verified": {
            "manifest": args.file.to_string_lossy(),
            "image": image,
            "identifier": identifier,
            "bytes": manifest.bytes,
            "checksums": manifest.checksums,
            "endorser": {
                "email": email,
                "subject": subject,
                "issuer": issuer,
                "certificate_sha256": digest,
            },
            "signature": verified.signature_method,
        },
    }))?;
    let sums: Vec<String> = manifest.checksums.keys().map(ToString::to_string).collect();
    talk.result(&format!(
        "{}: verified\n  identifier  {identifier}\n  endorser    {} ({})\n  certificate sha256 {digest}, {own}\n  compared    {} bytes, {}\n",
        printable(&image),
        printable(email),
        printable(subject),
        manifest.bytes,
        sums.join(", ")
    ))?;
    Ok(0)
}
