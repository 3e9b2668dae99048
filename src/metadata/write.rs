//! Writes a manifest: the original's elements in its schema's order, then ours.
//!
//! ```text
//! rdf:RDF
//!   rdf:Description rdf:about="#IDENTIFIER"
//!     identifier, bytes, checksum…, endorsement      demanded, in this order
//!     type … deprecated                              as the original's template has them
//!     stratus:file, stratus:edit…                    our own
//! ```
//!
//! The signature is put in later, before the closing tag of the root.

use std::fmt::Write;

use super::datatypes::{is_absolute_uri, is_email, is_hex, is_integer};
use super::manifest::{
    EditFact, Endorsement, FileFacts, LONGEST_VALUE, MOST_EDITS, MOST_VALUES, Manifest, is_http,
    written_bus,
};
use super::vocabulary::{BASE, DCTERMS, OWN, RDF, SLREQ, SLTERMS, quoted};
use super::{date, xml};
use crate::digest::Algorithm;
use crate::error::{Error, Kind, Result};

/// Room that is left in the document for a signature and an endorsement.
const FOR_THE_SIGNATURE: usize = 64 << 10;

impl Manifest {
    /// The document. Unsigned: [`Manifest::endorsement`] is written if it is there.
    ///
    /// # Errors
    /// `Refused` for a value that the form cannot carry, by its element: a control character
    /// (`manifest-character`), not what its element demands (`manifest-value`), too long or too
    /// many (`manifest-size`). `Damaged` without a SHA-1.
    pub fn to_xml(&self) -> Result<String> {
        let identifier = self.identifier()?;
        let mut page = Page::default();
        page.text
            .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<rdf:RDF");
        let own = (self.file.is_some() || !self.edits.is_empty()).then_some(("stratus", OWN));
        let prefixes = [("rdf", RDF), ("dcterms", DCTERMS), ("slterms", SLTERMS), ("slreq", SLREQ)];
        for (prefix, namespace) in prefixes.into_iter().chain(own) {
            page.add(format_args!(" xmlns:{prefix}=\"{namespace}\"\n   "));
        }
        page.add(format_args!(" xml:base=\"{BASE}\">\n\n"));
        // The reference server looks for exactly this text: no other attribute, this prefix.
        page.add(format_args!("  <rdf:Description rdf:about=\"#{identifier}\">\n\n"));
        self.demanded(&identifier, &mut page)?;
        self.template(&mut page)?;
        self.own(&mut page)?;
        page.text.push_str("  </rdf:Description>\n\n</rdf:RDF>\n");
        if page.text.len() > xml::LARGEST - FOR_THE_SIGNATURE {
            let message = format!("the manifest has {} bytes: that is too many", page.text.len());
            return Err(Error::new(Kind::Refused, "manifest-size", message));
        }
        Ok(page.text)
    }

    /// What the schema demands, in its order.
    fn demanded(&self, identifier: &str, page: &mut Page) -> Result<()> {
        page.value("dcterms:identifier", identifier)?;
        page.value("slreq:bytes", &self.bytes.to_string())?;
        for (algorithm, hex) in &self.checksums {
            let (name, digits) = checksum_name(*algorithm);
            digest(name, hex, digits)?;
            page.resource("slreq:checksum", |page| {
                page.value("slreq:algorithm", name)?;
                page.value("slreq:value", hex)
            })?;
        }
        match &self.endorsement {
            None => page.text.push_str("    <slreq:endorsement rdf:parseType=\"Resource\"/>\n"),
            Some(endorsement) => endorsement.write(page)?,
        }
        page.text.push('\n');
        Ok(())
    }

    /// What the original's template has. Its client cannot read an entry in which one of those
    /// that are always written here is missing; they may be empty.
    fn template(&self, page: &mut Page) -> Result<()> {
        if let Some(valid) = self.valid.as_deref().filter(|valid| !valid.is_empty())
            && !date::is_date(valid)
        {
            return Err(not("dcterms:valid", valid, "a time like 2026-11-23T14:00:00Z"));
        }
        if let Some(number) = &self.serial_number
            && !(number.is_empty() || is_integer(number))
        {
            return Err(not("slterms:serial-number", number, "a whole number"));
        }
        page.value("dcterms:type", &self.type_)?;
        page.known("slterms:kind", &self.kind)?;
        page.always("slterms:os", &self.os)?;
        page.always("slterms:os-version", &self.os_version)?;
        page.always("slterms:os-arch", &self.os_arch)?;
        page.always("slterms:version", &self.version)?;
        page.known("slterms:serial-number", &self.serial_number)?;
        // The original builds an entry with the first of the two and adds the other on upload.
        page.always("dcterms:compression", &self.compression)?;
        page.known("slterms:compression", &self.compression)?;
        self.locations(page)?;
        page.known("dcterms:format", &self.format)?;
        page.known("dcterms:creator", &self.creator)?;
        page.always("dcterms:created", &self.created)?;
        page.always("dcterms:valid", &self.valid)?;
        page.known("dcterms:title", &self.title)?;
        page.known("dcterms:alternative", &self.alternative)?;
        page.always("dcterms:description", &self.description)?;
        page.several("slterms:hypervisor", &self.hypervisors)?;
        let buses: Vec<&str> = self.disks_bus.iter().map(|bus| written_bus(bus)).collect();
        page.several("slterms:disks-bus", &buses)?;
        page.several("slterms:inbound-port", &self.inbound_ports)?;
        page.several("slterms:outbound-port", &self.outbound_ports)?;
        page.several("slterms:icmp", &self.icmp)?;
        page.known("dcterms:publisher", &self.publisher)?;
        page.known("dcterms:replaces", &self.replaces)?;
        page.known("dcterms:isReplacedBy", &self.is_replaced_by)?;
        page.known("dcterms:isVersionOf", &self.is_version_of)?;
        page.known("slterms:deprecated", &self.deprecated)?;
        page.text.push('\n');
        Ok(())
    }

    fn locations(&self, page: &mut Page) -> Result<()> {
        for location in &self.locations {
            if !is_absolute_uri(location) {
                let what = "an absolute URI; what URIs cannot have is written as %41";
                return Err(not("slterms:location", location, what));
            }
        }
        let (mut first, second): (Vec<&str>, Vec<&str>) =
            self.locations.iter().map(String::as_str).partition(|location| is_http(location));
        first.extend(second);
        page.several("slterms:location", &first)
    }

    /// What is only ours.
    fn own(&self, page: &mut Page) -> Result<()> {
        if let Some(FileFacts { name, bytes, md5, sha256 }) = &self.file {
            page.resource("stratus:file", |page| {
                page.value("stratus:name", name)?;
                page.value("stratus:bytes", &bytes.to_string())?;
                for (element, hex, digits) in [("md5", md5, 32), ("sha256", sha256, 64)] {
                    if let Some(hex) = hex {
                        digest(element, hex, digits)?;
                        page.value(&format!("stratus:{element}"), hex)?;
                    }
                }
                Ok(())
            })?;
        }
        limit("stratus:edit", self.edits.len(), MOST_EDITS)?;
        for EditFact { name, path, action } in &self.edits {
            page.resource("stratus:edit", |page| {
                page.value("stratus:name", name)?;
                page.value("stratus:path", path)?;
                page.value("stratus:action", action)
            })?;
        }
        Ok(())
    }
}

impl Endorsement {
    fn write(&self, page: &mut Page) -> Result<()> {
        let Endorsement { created, email, subject, issuer } = self;
        if !date::is_date(created) {
            return Err(not(
                "endorsement/dcterms:created",
                created,
                "a time like 2026-11-23T14:00:00Z",
            ));
        }
        if !is_email(email) {
            return Err(not("slreq:email", email, "an e-mail address of ASCII letters and digits"));
        }
        page.resource("slreq:endorsement", |page| {
            page.value("dcterms:created", created)?;
            page.resource("slreq:endorser", |page| {
                page.value("slreq:email", email)?;
                page.value("slreq:subject", subject)?;
                page.value("slreq:issuer", issuer)
            })
        })
    }
}

/// The name of an algorithm in a manifest, and how many digits its digests have.
pub(super) fn checksum_name(algorithm: Algorithm) -> (&'static str, usize) {
    match algorithm {
        Algorithm::Md5 => ("MD5", 32),
        Algorithm::Sha1 => ("SHA-1", 40),
        Algorithm::Sha256 => ("SHA-256", 64),
        Algorithm::Sha512 => ("SHA-512", 128),
    }
}

fn not(element: &str, value: &str, what: &str) -> Error {
    let message = format!("{element} is {}, not {what}", quoted(value));
    Error::new(Kind::Refused, "manifest-value", message)
        .remedy("correct what is said of the image: see stratus-publish --help")
}

fn digest(name: &str, hex: &str, digits: usize) -> Result<()> {
    let lower = is_hex(hex) && !hex.bytes().any(|byte| byte.is_ascii_uppercase());
    if lower && hex.len() == digits {
        return Ok(());
    }
    Err(not(name, hex, &format!("{digits} lower-case hexadecimal digits")))
}

fn limit(element: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    let message = format!("{count} values of {element}, at most {most}");
    Err(Error::new(Kind::Refused, "manifest-size", message))
}

/// The text so far, and where the next line begins.
#[derive(Default)]
struct Page {
    text: String,
    /// How many resources are open.
    depth: usize,
}

impl Page {
    fn add(&mut self, text: std::fmt::Arguments) {
        // Writing into a String does not fail.
        let _ = self.text.write_fmt(text);
    }

    fn indent(&mut self) {
        self.add(format_args!("{:1$}", "", 4 + 2 * self.depth));
    }

    /// An element with text.
    fn value(&mut self, element: &str, value: &str) -> Result<()> {
        let value = escaped(element, value)?;
        self.indent();
        self.add(format_args!("<{element}>{value}</{element}>\n"));
        Ok(())
    }

    /// An element, also if its value is not known.
    fn always(&mut self, element: &str, value: &Option<String>) -> Result<()> {
        self.value(element, value.as_deref().unwrap_or(""))
    }

    /// An element, if its value is known.
    fn known(&mut self, element: &str, value: &Option<String>) -> Result<()> {
        match value.as_deref() {
            None | Some("") => Ok(()),
            Some(value) => self.value(element, value),
        }
    }

    /// An element for each value.
    fn several(&mut self, element: &str, values: &[impl ToString]) -> Result<()> {
        limit(element, values.len(), MOST_VALUES)?;
        values.iter().try_for_each(|value| self.value(element, &value.to_string()))
    }

    /// An element with elements in it.
    fn resource(
        &mut self,
        element: &str,
        inside: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.indent();
        self.add(format_args!("<{element} rdf:parseType=\"Resource\">\n"));
        self.depth += 1;
        inside(self)?;
        self.depth -= 1;
        self.indent();
        self.add(format_args!("</{element}>\n"));
        Ok(())
    }
}

/// Text, so that a parser gives back the same: a carriage return would become a line feed.
///
/// # Errors
/// `Refused` (`manifest-size`, `manifest-character`), with the element's name.
pub(super) fn escaped(element: &str, value: &str) -> Result<String> {
    if value.len() > LONGEST_VALUE {
        let bytes = value.len();
        let message = format!("{element} has {bytes} bytes, at most {LONGEST_VALUE}");
        return Err(Error::new(Kind::Refused, "manifest-size", message));
    }
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(c),
            // What is left of XML 1.0, production 2.
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => {
                let message = format!("{element} has {c:?} in it, which XML cannot carry");
                return Err(Error::new(Kind::Refused, "manifest-character", message)
                    .remedy("take the character out"));
            }
            _ => text.push(c),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
