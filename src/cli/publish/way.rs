//! The way to servers: addresses, accounts, certificates, limits.

use std::path::PathBuf;

use url::Url;

use super::args::{Place, Transport as Options};
use super::secret;
use super::signer::key_may_have_password;
use crate::cli::config::Site;
use crate::cli::size::Size;
use crate::control::Control;
use crate::error::{Error, Kind, Result};
use crate::publish::http::{Login, Secret, Transport, without_user};
use crate::publish::marketplace::endpoint;

/// The text is not repeated in the error: there may be a password in it.
pub(super) fn url(text: &str, what: &str) -> Result<Url> {
    Url::parse(text)
        .map_err(|e| Error::new(Kind::Usage, "url", format!("{what} is not a URL: {e}")))
}

pub(super) fn is_http(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.starts_with("http://") || text.starts_with("https://")
}

/// A user, and the address where that is one.
pub(super) type Account = (String, String);

/// The account of `--user`, or of the settings: at the repository, or if that is a folder, and it was
/// typed, at the marketplace. The settings' user is not known at another repository than theirs.
pub(super) fn account(place: &Place, options: &Options, site: &Site) -> Result<Option<Account>> {
    let set: Option<String> = site.get("repository")?;
    let http = |text: Option<String>| text.filter(|text| is_http(text));
    let repository = http(place.repository.clone().or(set.clone()));
    if let Some(user) = &options.user {
        let marketplace = place.marketplace.clone().filter(|url| !url.is_empty());
        let marketplace = marketplace.or(site.get("marketplace")?);
        // A bare host is one, too.
        let marketplace = marketplace.map(|text| endpoint(&text)).transpose()?.map(String::from);
        return Ok(repository.or(marketplace).map(|at| (user.clone(), at)));
    }
    let origin = |text: &str| Url::parse(text).map(|url| url.origin()).ok();
    let elsewhere = |at: &str| set.as_deref().is_some_and(|set| origin(set) != origin(at));
    let user: Option<String> = site.get("user")?;
    Ok(user.zip(repository.filter(|at| !elsewhere(at))))
}

/// The account at an address that no settings are about: only a user who was typed.
pub(super) fn typed_account(options: &Options, place: &str) -> Option<Account> {
    options.user.clone().map(|user| (user, place.to_owned()))
}

/// The way to servers. The login is for the account's place, and for no other.
pub(super) fn transport(
    options: &Options,
    account: Option<Account>,
    site: &Site,
    control: &Control,
) -> Result<Transport> {
    let mut transport = Transport {
        ca_file: site.path(&options.ca_file, "ca_file")?,
        client_cert: site.path(&options.client_cert, "client_cert")?,
        limit: site.or(options.limit_upload, "limit_upload")?.map(|size: Size| size.0),
        ..Transport::default()
    };
    if let Some(retries) = site.or(options.retries, "retries")? {
        transport.retries = retries;
    }
    let netrc = std::env::var_os("NETRC").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if let Some(netrc) = netrc.or(home.map(|home| home.join(".netrc"))) {
        transport.credentials.read_netrc(&netrc)?;
    }
    if let Some((user, place)) = account.filter(|(_, place)| is_http(place)) {
        let (url, _) = without_user(url(&place, "the address")?);
        let login = login(&user, &url, &transport, site, control)?;
        transport.credentials.add(&url, login);
    }
    Ok(transport)
}

/// The login of `user`: with the password behind a colon, that of netrc, of a variable, or of the
/// terminal.
fn login(
    user: &str,
    url: &Url,
    transport: &Transport,
    site: &Site,
    control: &Control,
) -> Result<Login> {
    let with = |user: &str, password: String| Login {
        user: user.to_owned(),
        password: Secret::new(password),
    };
    if let Some((user, password)) = user.split_once(':') {
        control.warn(
            "a password behind the user's name is seen by every user of this machine, or stands in \
             a file: use ~/.netrc",
        );
        return Ok(with(user, password.to_owned()));
    }
    if let Some(known) = transport.credentials.find_as(url, user) {
        return Ok(known);
    }
    let mut variables = vec!["STRATUS_USER_PASSWORD", "STRATUS_PASSWORD"];
    // If the endorser's key has a password this may be it, and no server is to see that.
    let set = |name: &str| std::env::var_os(name).is_some();
    if set("STRATUS_PASSWORD")
        && !set("STRATUS_USER_PASSWORD")
        && key_may_have_password(site, control)
    {
        variables.pop();
    }
    variables.push("STRATUSLAB_APPREPO_PASSWORD");
    for variable in variables {
        if let Some(password) = secret::variable(variable)? {
            return Ok(with(user, password));
        }
    }
    let host = url.host_str().unwrap_or_default();
    match secret::asked(&format!("Password of {user} at {host}"), control)? {
        Some(password) => Ok(with(user, password)),
        None => {
            let message = format!("there is no password for the user {user} at {host}");
            Err(Error::new(Kind::Permission, "no-password", message)
                .remedy("put it into ~/.netrc (chmod 600), or into STRATUS_USER_PASSWORD"))
        }
    }
}
