//! Reads a manifest, also as the original's programs of all years wrote it, or another builder.
//!
//! Names count, not prefixes, and the order does not matter. What a reader could take in two ways is
//! refused: a second identifier, size, type, checksum of one kind, endorsement, system or version.
//! Of other elements the first one counts, as for the original's client. Unknown elements are
//! passed over. Whether the document is valid is another question: see [`validate`](super::validate).

use std::collections::BTreeMap;

use roxmltree::Node;

use super::datatypes::{integer, is_hex};
use super::identifier;
use super::manifest::{EditFact, Endorsement, FileFacts, Manifest};
use super::vocabulary::{DCTERMS, OWN, RDF, SLREQ, SLTERMS, is, name_of, qualified, quoted, text};
use super::write::checksum_name;
use super::xml;
use crate::digest::Algorithm;
use crate::error::{Error, Kind, Result};

impl Manifest {
    /// Reads a document. A signature in it is passed over, not checked: whoever needs to believe
    /// what is read gives the octets that [`verify`](fn@super::signature::verify) hands out.
    ///
    /// # Errors
    /// Those of [`xml::parse`]; `Damaged` for a document that is no manifest (`manifest-form`), an
    /// element that has to be there and is not (`manifest-missing`), or is there twice
    /// (`manifest-twice`), or has not the value that it should have (`manifest-value`), and for an
    /// identifier that is not the SHA-1's (`manifest-identifier`).
    pub fn from_xml(bytes: &[u8]) -> Result<Manifest> {
        let document = xml::parse(bytes)?;
        let entry = Elements(description(document.root_element())?);
        let text_of = |namespace, name| entry.first(namespace, name);
        let one_of = |namespace, name| entry.one(namespace, name);
        let manifest = Manifest {
            bytes: entry.number(SLREQ, "bytes", u64::MAX)?.ok_or_else(|| missing("slreq:bytes"))?,
            checksums: entry.checksums()?,
            endorsement: entry.endorsement()?,
            type_: one_of(DCTERMS, "type")?.unwrap_or_default(),
            kind: text_of(SLTERMS, "kind")?,
            created: text_of(DCTERMS, "created")?,
            valid: text_of(DCTERMS, "valid")?,
            creator: text_of(DCTERMS, "creator")?,
            publisher: text_of(DCTERMS, "publisher")?,
            title: text_of(DCTERMS, "title")?,
            description: text_of(DCTERMS, "description")?,
            alternative: text_of(DCTERMS, "alternative")?,
            format: text_of(DCTERMS, "format")?,
            compression: match text_of(DCTERMS, "compression")? {
                // The original leaves it empty, and adds the other on upload.
                None => text_of(SLTERMS, "compression")?,
                known => known,
            },
            os: one_of(SLTERMS, "os")?,
            os_version: one_of(SLTERMS, "os-version")?,
            os_arch: one_of(SLTERMS, "os-arch")?,
            version: one_of(SLTERMS, "version")?,
            serial_number: one_of(SLTERMS, "serial-number")?,
            deprecated: one_of(SLTERMS, "deprecated")?,
            locations: entry.texts(SLTERMS, "location")?,
            hypervisors: entry.texts(SLTERMS, "hypervisor")?,
            disks_bus: entry.texts(SLTERMS, "disks-bus")?,
            inbound_ports: entry.numbers(SLTERMS, "inbound-port")?,
            outbound_ports: entry.numbers(SLTERMS, "outbound-port")?,
            icmp: entry.numbers(SLTERMS, "icmp")?,
            replaces: text_of(DCTERMS, "replaces")?,
            is_replaced_by: text_of(DCTERMS, "isReplacedBy")?,
            is_version_of: text_of(DCTERMS, "isVersionOf")?,
            file: entry.file()?,
            edits: entry.edits()?,
        };
        entry.identity(&manifest.identifier()?)?;
        Ok(manifest)
    }
}

/// The one `rdf:Description` of the document.
fn description<'a, 'input>(root: Node<'a, 'input>) -> Result<Node<'a, 'input>> {
    let form = |message: String| {
        Error::new(Kind::Damaged, "manifest-form", message)
            .remedy("a manifest is an rdf:RDF with one rdf:Description in it")
    };
    if !is(root, RDF, "RDF") {
        return Err(form(format!("the document is a {}, not a manifest", name_of(root))));
    }
    let mut found = root.children().filter(|node| is(*node, RDF, "Description"));
    let first = found.next().ok_or_else(|| form("nothing is described".into()))?;
    match found.next() {
        None => Ok(first),
        Some(_) => Err(form("more than one image is described".into())),
    }
}

const CORRECT: &str = "correct it and sign it again, or get the manifest from its origin again; \
                       stratus-publish metadata build makes a new one of an image and its record";

fn missing(element: &str) -> Error {
    Error::new(Kind::Damaged, "manifest-missing", format!("the manifest has no {element}"))
        .remedy(CORRECT)
}

fn wrong(element: &str, value: &str, what: &str) -> Error {
    let message = format!("{element} is {}, not {what}", quoted(value));
    Error::new(Kind::Damaged, "manifest-value", message).remedy(CORRECT)
}

/// The text of an element, unless it is empty.
fn value(node: Node) -> Result<Option<String>> {
    if node.has_children() && node.children().any(|child| child.is_element()) {
        let message = format!("{} has elements in it, not a text", name_of(node));
        return Err(Error::new(Kind::Damaged, "manifest-value", message).remedy(CORRECT));
    }
    Ok(Some(text(node)).filter(|text| !text.is_empty()))
}

/// The elements in a node.
struct Elements<'a, 'input>(Node<'a, 'input>);

impl<'a, 'input> Elements<'a, 'input> {
    fn all(
        &self,
        namespace: &'static str,
        name: &'static str,
    ) -> impl Iterator<Item = Node<'a, 'input>> + use<'a, 'input> {
        self.0.children().filter(move |node| is(*node, namespace, name))
    }

    /// The first of these elements.
    fn first(&self, namespace: &'static str, name: &'static str) -> Result<Option<String>> {
        self.all(namespace, name).next().map_or(Ok(None), value)
    }

    /// The only one of these elements.
    fn only(
        &self,
        namespace: &'static str,
        name: &'static str,
    ) -> Result<Option<Node<'a, 'input>>> {
        let mut found = self.all(namespace, name);
        let first = found.next();
        if found.next().is_some() {
            let message = format!("the manifest has {} twice", qualified(Some(namespace), name));
            return Err(Error::new(Kind::Damaged, "manifest-twice", message).remedy(CORRECT));
        }
        Ok(first)
    }

    fn one(&self, namespace: &'static str, name: &'static str) -> Result<Option<String>> {
        self.only(namespace, name)?.map_or(Ok(None), value)
    }

    /// The text of an element that has to be there.
    fn needed(&self, namespace: &'static str, name: &'static str) -> Result<String> {
        let text = self.one(namespace, name)?;
        text.ok_or_else(|| missing(&qualified(Some(namespace), name)))
    }

    /// The texts of all of these elements that are not empty.
    fn texts(&self, namespace: &'static str, name: &'static str) -> Result<Vec<String>> {
        self.all(namespace, name).filter_map(|node| value(node).transpose()).collect()
    }

    fn number(
        &self,
        namespace: &'static str,
        name: &'static str,
        most: u64,
    ) -> Result<Option<u64>> {
        let Some(node) = self.only(namespace, name)? else { return Ok(None) };
        whole(node, most).map(Some)
    }

    fn numbers<N: TryFrom<u64>>(
        &self,
        namespace: &'static str,
        name: &'static str,
    ) -> Result<Vec<N>> {
        let number = |node| {
            let value = whole(node, u64::MAX)?;
            N::try_from(value).map_err(|_| wrong(&name_of(node), &value.to_string(), "that small"))
        };
        self.all(namespace, name).map(number).collect()
    }

    /// The checksums of known kinds. The original's client leaves the value of a sum that was not
    /// made empty.
    fn checksums(&self) -> Result<BTreeMap<Algorithm, String>> {
        let mut sums = BTreeMap::new();
        for node in self.all(SLREQ, "checksum") {
            let sum = Elements(node);
            let named = sum.needed(SLREQ, "algorithm")?;
            let known = |algorithm: &Algorithm| checksum_name(*algorithm).0 == named;
            let Some(algorithm) = Algorithm::ALL.into_iter().find(known) else { continue };
            let Some(hex) = sum.one(SLREQ, "value")? else { continue };
            let hex = digest(&named, &hex, checksum_name(algorithm).1)?;
            if sums.insert(algorithm, hex).is_some() {
                let message = format!("the manifest has two {named} checksums");
                return Err(Error::new(Kind::Damaged, "manifest-twice", message).remedy(CORRECT));
            }
        }
        Ok(sums)
    }

    /// The endorsement; one that is empty waits for a signature.
    fn endorsement(&self) -> Result<Option<Endorsement>> {
        let Some(node) = self.only(SLREQ, "endorsement")? else { return Ok(None) };
        if !node.children().any(|child| child.is_element()) {
            return Ok(None);
        }
        let endorsement = Elements(node);
        let endorser = endorsement.only(SLREQ, "endorser")?;
        let endorser = Elements(endorser.ok_or_else(|| missing("slreq:endorser"))?);
        // A chain may follow the issuer of the certificate: the first is compared.
        let issuer = endorser.first(SLREQ, "issuer")?;
        Ok(Some(Endorsement {
            created: endorsement.needed(DCTERMS, "created")?,
            email: endorser.needed(SLREQ, "email")?,
            subject: endorser.needed(SLREQ, "subject")?,
            issuer: issuer.ok_or_else(|| missing("slreq:issuer"))?,
        }))
    }

    fn file(&self) -> Result<Option<FileFacts>> {
        let Some(node) = self.only(OWN, "file")? else { return Ok(None) };
        let file = Elements(node);
        let sum = |name, digits| {
            let hex = file.one(OWN, name)?;
            hex.map(|hex| digest(name, &hex, digits)).transpose()
        };
        Ok(Some(FileFacts {
            name: file.one(OWN, "name")?.unwrap_or_default(),
            bytes: file.number(OWN, "bytes", u64::MAX)?.ok_or_else(|| missing("stratus:bytes"))?,
            md5: sum("md5", 32)?,
            sha256: sum("sha256", 64)?,
        }))
    }

    fn edits(&self) -> Result<Vec<EditFact>> {
        let edit = |node| {
            let edit = Elements(node);
            let text = |name| Ok::<_, Error>(edit.one(OWN, name)?.unwrap_or_default());
            Ok(EditFact { name: text("name")?, path: text("path")?, action: text("action")? })
        };
        self.all(OWN, "edit").map(edit).collect()
    }

    /// The names of the image say the same as its SHA-1.
    fn identity(&self, computed: &str) -> Result<()> {
        let about = self.0.attribute((RDF, "about")).unwrap_or_default();
        let about = about.strip_prefix('#').unwrap_or(about);
        let identifier = self.needed(DCTERMS, "identifier")?;
        for (what, named) in [("dcterms:identifier", identifier.as_str()), ("rdf:about", about)] {
            if named != computed {
                let message = format!("{what} is {}, but the SHA-1 has {computed}", quoted(named));
                return Err(Error::new(Kind::Damaged, "manifest-identifier", message)
                    .remedy("the manifest is not of one image: get it from its origin again"));
            }
        }
        identifier::to_sha1(&identifier).map(drop)
    }
}

/// The number in an element.
fn whole(node: Node, most: u64) -> Result<u64> {
    let text = value(node)?.unwrap_or_default();
    let number = integer(&text).filter(|number| *number <= most);
    number.ok_or_else(|| wrong(&name_of(node), &text, "a whole number that is not too large"))
}

/// A digest in lower case, of as many digits as it should have. The reference compares numbers:
/// leading zeros do not count.
fn digest(name: &str, hex: &str, digits: usize) -> Result<String> {
    let significant = hex.trim_start_matches('0');
    if !is_hex(hex) || significant.len() > digits {
        return Err(wrong(name, hex, &format!("{digits} hexadecimal digits")));
    }
    Ok(format!("{:0>digits$}", significant.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
