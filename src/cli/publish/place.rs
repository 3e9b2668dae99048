//! Where things go: the repository, the marketplace, and the way there.

use std::path::{Path, PathBuf};

use url::Url;

use super::args::{Place, Transport as Options};
use super::signer::Need;
use super::way::{account, is_http, transport, typed_account, url};
use crate::cli::config::{Site, data_folder};
use crate::cli::talk::Talk;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::metadata::Manifest;
use crate::pipeline::publish::{Naming, Reach, inflate};
use crate::publish::dav::DavTarget;
use crate::publish::directory::Directory;
use crate::publish::http::{Client, Request, Transport, without_user};
use crate::publish::market_folder::MarketFolder;
use crate::publish::marketplace::{Marketplace, endpoint};
use crate::publish::registry::Registry;
use crate::publish::{Target, Verify};

/// Where the embedded market answers if nobody says otherwise.
const BASE_URL: &str = "http://127.0.0.1:8080";
/// Who can say otherwise.
const BASE_KEY: &str = "base_url in [market] of the config file, or STRATUS_MARKET_BASE_URL,";

/// The places of a command.
pub(super) struct Places {
    /// Where the image goes.
    pub(super) target: Box<dyn Target>,
    /// What it is called there.
    pub(super) naming: Naming,
    /// Where the metadata is registered.
    pub(super) registry: Option<Box<dyn Registry>>,
    /// From where the image has to be reachable.
    pub(super) reach: Reach,
    /// How much is read back.
    pub(super) verify: Verify,
    need: Need,
    /// The embedded market's base URL, if it is used and nobody set it.
    unset_base: bool,
}

/// The embedded market: a folder, and the URL under which it will be served.
struct Embedded {
    data: PathBuf,
    base: String,
}

impl Embedded {
    fn settle(site: &Site) -> Result<Self> {
        let data = match site.get::<String>("market_data")? {
            Some(data) => PathBuf::from(data),
            None => data_folder()?.join("market"),
        };
        let base = site.get("market_base_url")?.unwrap_or_else(|| BASE_URL.to_owned());
        Ok(Embedded { data, base: base.trim_end_matches('/').to_owned() })
    }

    fn repository(&self) -> Result<Box<dyn Target>> {
        let base = self.url("/repo/")?;
        let root = self.data.join("repo");
        let served = Directory::new(&root)?.served_at(&base);
        Ok(Box::new(served.map_err(|e| e.with_kind(Kind::Config).within(BASE_KEY))?.linking()))
    }

    fn url(&self, path: &str) -> Result<Url> {
        let parsed = url(&format!("{}{path}", self.base), BASE_KEY);
        let parsed = parsed.ok().filter(|_| is_http(&self.base));
        parsed.ok_or_else(|| {
            Error::new(Kind::Config, "config-value", format!("{BASE_KEY} is no URL of a server"))
                .remedy("write it as http://HOST:PORT or https://HOST")
        })
    }

    fn registry(&self) -> Result<Box<dyn Registry>> {
        let base = self.url("")?;
        Ok(Box::new(MarketFolder::new(&self.data, &base)?))
    }
}

impl Places {
    /// Settles where things go. Asks no server anything.
    ///
    /// # Errors
    /// `Usage`, `Config`; those of reading what was named.
    pub(super) fn settle(
        place: &Place,
        options: &Options,
        site: &Site,
        control: &Control,
    ) -> Result<Self> {
        let repository: Option<String> = site.or(place.repository.clone(), "repository")?;
        let embedded = Embedded::settle(site)?;
        let configured: Option<String> = site.get("marketplace")?;
        let asks = |text: &Option<String>| text.as_deref().is_some_and(is_http);
        // What is only for servers is not looked at where none is asked.
        let embedded_only = place.marketplace.as_deref() == Some("") && configured.is_none();
        let servers = asks(&repository) || place.marketplace.is_some() && !embedded_only;
        let transport = match servers {
            true => transport(options, account(place, options, site)?, site, control)?,
            false => Transport::default(),
        };
        let (target, naming) = match &repository {
            None => (embedded.repository()?, Naming::ByIdentifier),
            Some(text) => (target(text, &transport, control)?, Naming::Plain),
        };
        let wanted = match place.marketplace.as_deref() {
            None => None,
            Some("") => Some(configured),
            Some(url) => Some(Some(url.to_owned())),
        };
        let mut reach = Reach::Any;
        let (registry, need): (Option<Box<dyn Registry>>, _) = match wanted {
            None => (None, Need::None),
            Some(Some(url)) => {
                let marketplace = Marketplace::new(&url, Client::new(&transport)?)?;
                if !place.any_location {
                    reach = Reach::Of(marketplace.endpoint().clone());
                }
                (Some(Box::new(marketplace)), Need::Marketplace)
            }
            Some(None) => (Some(embedded.registry()?), Need::Embedded),
        };
        let unset = site.get::<String>("market_base_url")?.is_none();
        Ok(Places {
            target,
            naming,
            registry,
            reach,
            verify: site.or(place.verify, "verify")?.unwrap_or_default(),
            need,
            unset_base: unset && repository.is_none() && place.location.is_none(),
        })
    }

    /// What the signature is needed for.
    pub(super) fn need(&self) -> Need {
        self.need
    }

    /// What the user should know about the places.
    pub(super) fn tell(&self, talk: Talk) {
        if self.unset_base {
            talk.note(&format!(
                "the image's location begins with {BASE_URL}, which only this machine can reach: \
                 set base_url in [market] of the config file (STRATUS_MARKET_BASE_URL) before \
                 others are to use it"
            ));
        }
    }
}

/// The registry of a command that only needs one: `--marketplace`, the configured one, the embedded.
pub(super) fn registry(
    marketplace_option: Option<&str>,
    options: &Options,
    site: &Site,
    control: &Control,
) -> Result<(Box<dyn Registry>, Need)> {
    let given = marketplace_option.filter(|url| !url.is_empty()).map(str::to_owned);
    match site.or(given, "marketplace")? {
        None => Ok((Embedded::settle(site)?.registry()?, Need::Embedded)),
        Some(url) => {
            let at = endpoint(&url)?;
            let account = typed_account(options, at.as_str());
            let transport = transport(options, account, site, control)?;
            Ok((Box::new(Marketplace::new(&url, Client::new(&transport)?)?), Need::Marketplace))
        }
    }
}

fn target(text: &str, transport: &Transport, control: &Control) -> Result<Box<dyn Target>> {
    if is_http(text) {
        let (url, login) = without_user(url(text, "--repository")?);
        let mut transport = transport.clone();
        if let Some(login) = login {
            control.warn("a password in a URL is seen by every user of this machine: use ~/.netrc");
            transport.credentials.add(&url, login);
        }
        return Ok(Box::new(DavTarget::new(&url, &transport)?));
    }
    for scheme in ["s3:", "glance+", "oci:"] {
        if text.starts_with(scheme) {
            let message = format!("stores of the kind {scheme} are not part of this version");
            return Err(Error::new(Kind::Usage, "repository-kind", message)
                .remedy("name an http(s):// URL, a folder, or a file:// URL"));
        }
    }
    let other_host = text.split('/').next().is_some_and(|start| start.contains(['@', ':']));
    let home = text.starts_with('~');
    let relative =
        text.to_ascii_lowercase().strip_prefix("file:").is_some_and(|p| !p.starts_with('/'));
    if home || relative || (other_host && !text.contains("://") && !text.starts_with("file:")) {
        let message = "--repository names neither a folder nor a URL";
        return Err(Error::new(Kind::Usage, "repository-kind", message).remedy(
            "write the whole path of a folder, ./NAME, or an http(s):// or file:///… URL",
        ));
    }
    if text.to_ascii_lowercase().starts_with("file:") {
        return Ok(Box::new(Directory::from_url(&url(text, "--repository")?)?));
    }
    let scheme = text.split(":/").next().filter(|scheme| scheme.len() < text.len());
    let is_word = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    if scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.chars().all(is_word)) {
        let message = "--repository looks like a URL of a kind that is not known";
        return Err(Error::new(Kind::Usage, "repository-kind", message)
            .remedy("name an http(s):// URL or a file:// URL, or write ./NAME for a folder"));
    }
    Ok(Box::new(Directory::new(Path::new(text))?))
}

/// Compares the image at a URL with a manifest.
///
/// # Errors
/// Those of the way there; `Mismatch`.
pub(super) fn compare_url(
    text: &str,
    options: &Options,
    site: &Site,
    manifest: &Manifest,
    control: &Control,
) -> Result<()> {
    let transport = transport(options, typed_account(options, text), site, control)?;
    let url = url(text, "the image")?;
    let client = Client::new(&transport)?;
    let (push, pull) = inflate::pipe();
    std::thread::scope(|scope| {
        let compared = scope.spawn(move || inflate::compare(pull, manifest, control));
        let gone =
            || Error::new(Kind::Mismatch, "image-differs", "nobody takes the image any more");
        let mut request = Request::new("GET", &url);
        // Packed noise is a little larger than noise.
        request.max_reply = manifest.bytes.saturating_add(manifest.bytes / 64 + (1 << 20));
        let reply = client
            .read(&request, control, &mut |bytes| push.send(bytes.to_vec()).map_err(|_| gone()));
        drop(push);
        let compared = compared.join().unwrap_or_else(|_| Err(gone()));
        match reply {
            // The comparison ended early: its reason is the one to tell.
            Err(error) if error.code() == "image-differs" => compared.and(Err(error)),
            Err(error) => Err(error),
            Ok(reply) if !reply.is_success() => Err(reply.failure(&request)),
            Ok(_) => compared,
        }
    })
}
