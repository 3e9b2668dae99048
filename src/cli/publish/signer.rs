//! Who signs: the key that was named, the one of an earlier time, or a new one.

use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::args::Signing;
use super::secret::{self, stoppable};
use crate::cli::config::{Site, data_folder};
use crate::cli::talk::Talk;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::files::{cannot_create, folder_of, open_regular, sync_folder};
use crate::metadata::keys::{self, Endorser};
use crate::metadata::signature::Profile;
use crate::pipeline::publish::{Signer, clock};

/// No key file is larger.
const MAX_KEY: u64 = 1 << 20;
/// Days that the certificate of a key that is made unasked is valid: ten years. Nobody looks after
/// it, and an expired one would stop a nightly job.
const OWN_DAYS: u32 = 3650;

/// What the signature is for, where nobody says which key and which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: sign only if a key is named.
    None,
    /// A marketplace of StratusLab's kind.
    Marketplace,
    /// The embedded market: a key is made at the first use.
    Embedded,
}

/// The signer, if one is needed or named.
///
/// # Errors
/// Those of reading the key; `Usage` if there is none where one is needed.
pub(super) fn signer(
    options: &Signing,
    site: &Site,
    need: Need,
    dry: bool,
    (control, talk): (&Control, Talk),
) -> Result<Option<Signer>> {
    let now = clock()?;
    let Some(endorser) = endorser(options, site, need, (dry, now), (control, talk))? else {
        return Ok(None);
    };
    let default = match need {
        Need::Embedded => Profile::Modern,
        Need::Marketplace | Need::None => Profile::Stratuslab,
    };
    let profile = site.or(options.signature, "signature")?.unwrap_or(default);
    let email = site.or(options.email.clone(), "email")?;
    if let (Some(own), Some(said)) = (endorser.email(), &email)
        && own != said
    {
        talk.warn(&format!("the certificate is of {own}: that counts, and not {said}"));
    }
    for warning in endorser.warnings() {
        talk.warn(&format!("the endorser's key: {}", warning.message));
    }
    if options.sha256_digest && profile == Profile::Modern {
        let message = "--sha256-digest belongs to --signature stratuslab: modern has it anyway";
        return Err(Error::new(Kind::Usage, "usage", message));
    }
    let sha256_digest = options.sha256_digest;
    Ok(Some(Signer { endorser, email, profile, sha256_digest }))
}

fn endorser(
    options: &Signing,
    site: &Site,
    need: Need,
    (dry, now): (bool, u64),
    (control, talk): (&Control, Talk),
) -> Result<Option<Endorser>> {
    // What was typed counts before what a site has set, whichever of the two kinds it is.
    let (p12, key) = (site.rank("p12_cert"), site.rank("key"));
    let p12_counts = p12.is_some_and(|p12| key.is_none_or(|key| p12 <= key));
    if let (Some(p12), true) = (site.path(&options.p12_cert, "p12_cert")?, p12_counts) {
        return p12_file(options, &p12, site, control).map(Some);
    }
    if let Some(key) = site.path(&options.key, "key")? {
        // A site's certificate belongs to the site's key.
        let certificate = match options.key {
            Some(_) => options.cert.clone(),
            None => site.path(&options.cert, "cert")?,
        };
        return pem(options, &key, certificate, (site, control)).map(Some);
    }
    match need {
        Need::None => Ok(None),
        Need::Embedded => own(options, site, (dry, now), (control, talk)).map(Some),
        Need::Marketplace => usual(options, site, (control, talk)).map(Some),
    }
}

/// Whether the key that would sign may have a password: then a password that may be its own is not
/// for servers.
pub(super) fn key_may_have_password(site: &Site, control: &Control) -> bool {
    let globus = usual_p12().is_some_and(|path| path.exists());
    let (p12, key) = (site.rank("p12_cert"), site.rank("key"));
    match (p12, key) {
        (Some(p12), key) if key.is_none_or(|key| p12 <= key) => return true,
        (None, None) if globus => return true,
        _ => {}
    }
    let named = site.get::<String>("key").ok().flatten().map(PathBuf::from);
    match named.or_else(|| own_path().ok().filter(|path| path.exists())) {
        // A pipe is read once, by whoever signs.
        Some(path) if !path.is_file() => true,
        Some(path) => read(&path, control).map_or(true, |bytes| is_encrypted(&bytes)),
        None => false,
    }
}

/// Whether a key in PEM form has a password: PKCS#8 (RFC 7468 §11), or a header of old times.
fn is_encrypted(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).contains("ENCRYPTED")
}

fn p12_file(options: &Signing, path: &Path, site: &Site, control: &Control) -> Result<Endorser> {
    let bytes = read(path, control)?;
    let alias = site.or(options.p12_alias.clone(), "p12_alias")?;
    with_password(options, (site, control), path, |password| {
        Endorser::from_p12(&bytes, password, alias.as_deref())
    })
}

fn pem(
    options: &Signing,
    key: &Path,
    certificate: Option<PathBuf>,
    (site, control): (&Site, &Control),
) -> Result<Endorser> {
    let key_bytes = read(key, control)?;
    let certificate_bytes = match certificate {
        Some(path) => read(&path, control)?,
        None => key_bytes.clone(),
    };
    // A password that a site has set for another key is not asked for.
    if !is_encrypted(&key_bytes) {
        if std::fs::metadata(key).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
            let key = key.display();
            control
                .warn(format!("others can read the key {key}, which has no password: chmod 600"));
        }
        let open = Endorser::from_pem(&key_bytes, &certificate_bytes, None);
        return open.map_err(|e| e.at(key));
    }
    with_password(options, (site, control), key, |password| {
        Endorser::from_pem(&key_bytes, &certificate_bytes, password)
    })
}

/// Opens a key: without a password, with the one that is given, or with the one that is asked for.
fn with_password(
    options: &Signing,
    (site, control): (&Site, &Control),
    path: &Path,
    open: impl Fn(Option<&str>) -> Result<Endorser>,
) -> Result<Endorser> {
    if let Some(password) = secret::given(&options.password, site, control)? {
        return open(Some(&password)).map_err(|e| e.at(path));
    }
    let error = match open(None) {
        Ok(endorser) => return Ok(endorser),
        Err(error) => error.at(path),
    };
    if !matches!(error.code(), "key-password-missing" | "key-password-wrong") {
        return Err(error);
    }
    let Some(password) = secret::asked(&format!("Password of {}", path.display()), control)? else {
        return Err(Error::new(Kind::Permission, "key-password-missing", "the key has a password")
            .at(path)
            .remedy("give it with --password-file, --password-command or STRATUS_PASSWORD"));
    };
    open(Some(&password)).map_err(|e| e.at(path))
}

fn read(path: &Path, control: &Control) -> Result<Vec<u8>> {
    let cannot = |e| {
        Error::io("key-read", "cannot read the key file", path, e).remedy(
            "check its name: --p12-cert, --key and --cert, or p12_cert, key and cert of the site",
        )
    };
    // It may be a pipe that nobody writes into.
    let owned = path.to_owned();
    let bytes = stoppable(control, move || {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(owned)?;
        file.take(MAX_KEY + 1).read_to_end(&mut bytes).map(|_| bytes)
    })?;
    let bytes = bytes.map_err(cannot)?;
    if bytes.len() as u64 > MAX_KEY {
        return Err(
            Error::new(Kind::Damaged, "key-large", "this is no key file: it is too large").at(path)
        );
    }
    Ok(bytes)
}

/// The key of this user, `endorser.pem`: made if it is not there yet, in a dry run in memory only.
fn own(
    options: &Signing,
    site: &Site,
    (dry, now): (bool, u64),
    (control, talk): (&Control, Talk),
) -> Result<Endorser> {
    let path = own_path()?;
    if !path.exists() {
        let endorser = new_key(options, site, now)?;
        if dry {
            talk.note(&format!("would make a key to sign with, {}", path.display()));
            return Ok(endorser);
        }
        if make_own(&path, &endorser)? {
            talk.note(&format!(
                "made a key to sign with, {}: keep it, others know your images by it",
                path.display()
            ));
        }
    }
    open_own(&path, options, (site, control))
}

/// Where the client of StratusLab looks for a key.
fn usual_p12() -> Option<PathBuf> {
    Some(PathBuf::from(std::env::var_os("HOME")?).join(".globus/usercert.p12"))
}

fn own_path() -> Result<PathBuf> {
    Ok(data_folder()?.join("endorser.pem"))
}

fn open_own(
    path: &Path,
    options: &Signing,
    (site, control): (&Site, &Control),
) -> Result<Endorser> {
    let meta = std::fs::metadata(path).map_err(|e| {
        Error::io("key-read", "cannot read the key file", path, e)
            .remedy("remove what is there, then another key is made; or name one with --key")
    })?;
    if !meta.is_file() {
        return Err(Error::new(Kind::Permission, "key-file", "this is no file with a key")
            .at(path)
            .remedy("remove it, then another key is made; or name one with --key"));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(Error::new(
            Kind::Permission,
            "key-exposed",
            "other users of this machine can read this key",
        )
        .at(path)
        .remedy(format!("chmod 600 {0}; if somebody may have it, make another", path.display())));
    }
    pem(options, path, None, (site, control))
}

/// What the client of StratusLab signed with by default, else this user's own key.
fn usual(options: &Signing, site: &Site, (control, talk): (&Control, Talk)) -> Result<Endorser> {
    if let Some(path) = usual_p12().filter(|path| path.exists()) {
        talk.note(&format!("signing with {}", path.display()));
        return p12_file(options, &path, site, control);
    }
    let path = own_path()?;
    if path.exists() {
        talk.note(&format!("signing with {}", path.display()));
        return open_own(&path, options, (site, control));
    }
    Err(Error::new(Kind::Usage, "no-endorser", "nobody signs: no key is named")
        .remedy("name one with --p12-cert or --key, or make one with stratus-publish keygen"))
}

/// A key in the name of the user of this machine.
fn new_key(options: &Signing, site: &Site, now: u64) -> Result<Endorser> {
    let email = site.or(options.email.clone(), "email")?;
    let email = email.unwrap_or_else(|| format!("{}@{}", user(), host()));
    let name = email.split('@').next().unwrap_or_default().to_owned();
    keys::generate(&name, &email, OWN_DAYS, keys::DEFAULT_BITS, now)
}

/// Two runs at once make one key: whoever comes second takes the first one's, and is told false.
fn make_own(path: &Path, endorser: &Endorser) -> Result<bool> {
    let folder = folder_of(path);
    let cannot = |e| {
        let error = cannot_create(folder, e);
        error.remedy("make room or get the right to write there, or set XDG_DATA_HOME")
    };
    // Whoever may write into it could give us another key.
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(cannot)?;
    write_key(path, endorser.to_pem()?.as_bytes(), false)
}

/// Writes a key: readable by its user alone, whole or not at all. False: something had this name
/// already, and was not to be replaced.
///
/// # Errors
/// `CannotCreate`, `Io`.
pub(super) fn write_key(path: &Path, bytes: &[u8], replace: bool) -> Result<bool> {
    remove_stale(path);
    let nanoseconds = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}-{nanoseconds}.part", std::process::id()));
    let part = PathBuf::from(part);
    let cannot = |e| cannot_create(path, e);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(cannot)?;
    let _ = file.try_lock();
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let named = written.and_then(|()| match replace {
        true => std::fs::rename(&part, path).map(|()| true),
        false => name_new(&part, path),
    });
    let _ = std::fs::remove_file(&part);
    let named = named.map_err(cannot)?;
    sync_folder(folder_of(path)).map(|()| named)
}

/// Gives a file a name that nothing has yet; false if something has it.
fn name_new(part: &Path, path: &Path) -> std::io::Result<bool> {
    let renamed = rustix::fs::renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE);
    let named = match renamed.map_err(std::io::Error::from) {
        // NFS, among others, has no such rename; it has links.
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::INVAL | Errno::NOSYS)) => {
            std::fs::hard_link(part, path)
        }
        renamed => renamed,
    };
    match named {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        named => named.map(|()| true),
    }
}

/// Removes what runs have left that were killed while they wrote a key: nobody locks it any more.
fn remove_stale(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let is_part = |entry: &std::fs::DirEntry| {
        let found = entry.file_name().to_string_lossy().into_owned();
        let between = found.strip_prefix(&name).and_then(|rest| rest.strip_suffix(".part"));
        let (id, time) = between.and_then(|between| between.split_once('-')).unwrap_or_default();
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits(id) && digits(time) && !Path::new("/proc").join(id).exists()
    };
    let entries = std::fs::read_dir(folder_of(path)).into_iter().flatten().flatten();
    for part in entries.filter(is_part).map(|entry| entry.path()) {
        let locked = open_regular(&part).is_ok_and(|file| file.try_lock().is_ok());
        if locked {
            let _ = std::fs::remove_file(&part);
        }
    }
}

/// The characters that the schema of the metadata allows in an e-mail address.
fn clean(text: &str, also: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || also.contains(*c)).collect()
}

fn user() -> String {
    let name = ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    let name = clean(&name.unwrap_or_default(), "._-");
    if name.is_empty() { "endorser".to_owned() } else { name }
}

fn host() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = clean(&name, ".-");
    if name.is_empty() { "localhost".to_owned() } else { name }
}
