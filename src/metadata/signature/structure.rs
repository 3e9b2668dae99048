//! What a signed entry has to look like before anything in it is computed or believed.
//!
//! ```text
//! rdf:RDF
//! ├── rdf:Description               exactly one, anywhere
//! └── Signature                     exactly one of that name, anywhere; the last element
//!     ├── SignedInfo
//!     │   ├── CanonicalizationMethod
//!     │   ├── SignatureMethod
//!     │   └── Reference URI=""      the whole document
//!     │       ├── Transforms        enveloped-signature, then perhaps Canonical XML
//!     │       ├── DigestMethod
//!     │       └── DigestValue
//!     ├── SignatureValue
//!     └── KeyInfo
//!         └── X509Data
//!             └── X509Certificate   exactly one: the key that verifies is the one reported
//! ```
//!
//! Nothing else: no other element, no attribute that is not shown, no comment, no instruction, no
//! text between elements. Each of these has been a way to have one thing signed and another read.

use base64ct::{Base64, Encoding};
use roxmltree::{Document, Node};

use super::algorithms::{self, Hash};
use crate::error::{Error, Kind, Result};
use crate::metadata::c14n::Comments;
use crate::metadata::vocabulary::quoted;
use crate::metadata::{DSIG, RDF, xml};

/// A signature that has the one form, taken apart.
pub struct Structure<'a, 'i> {
    /// The element that is not digested.
    pub signature: Node<'a, 'i>,
    pub signed_info: Node<'a, 'i>,
    /// How `SignedInfo` is canonicalized. The document itself is digested without its comments,
    /// always: that is what `URI=""` means (XML Signature, section 4.3.3.3).
    pub comments: Comments,
    pub signature_hash: Hash,
    pub digest_hash: Hash,
    pub digest: Vec<u8>,
    pub value: Vec<u8>,
    /// The certificate in DER, not parsed.
    pub certificate: Vec<u8>,
}

/// Takes the signature of a document apart.
///
/// # Errors
/// `Refused`, with a code for each rule that is broken.
pub fn read<'a, 'i>(document: &'a Document<'i>) -> Result<Structure<'a, 'i>> {
    let signature = the_signature(document)?;
    only_absolute_namespaces(document)?;
    let [signed_info, value, key_info] =
        children(signature, ["SignedInfo", "SignatureValue", "KeyInfo"])?;
    let [c14n, method, reference] =
        children(signed_info, ["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
    attributes(reference, &["URI"])?;
    if reference.attribute("URI") != Some("") {
        let message = "the signature does not cover the whole document (Reference with URI=\"\")";
        return Err(refused("signature-reference", message));
    }
    let [transforms, digest_method, digest] =
        children(reference, ["Transforms", "DigestMethod", "DigestValue"])?;
    only_enveloped(transforms)?;
    let [data] = children(key_info, ["X509Data"])?;
    let [certificate] = children(data, ["X509Certificate"])?;
    for plain in [signature, signed_info, value, transforms, digest, key_info, data, certificate] {
        attributes(plain, &[])?;
    }
    let digest_hash = algorithm(digest_method, Hash::of_digest_method)?;
    let digest = octets(digest)?;
    if digest.len() != digest_hash.digest(b"").len() {
        return Err(refused("signature-base64", "the digest has not the length of its algorithm"));
    }
    Ok(Structure {
        signature,
        signed_info,
        comments: algorithm(c14n, algorithms::comments)?,
        signature_hash: algorithm(method, Hash::of_signature_method)?,
        digest_hash,
        digest,
        value: octets(value)?,
        certificate: octets(certificate)?,
    })
}

fn refused(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Kind::Refused, code, message)
}

/// The one signature, at its one place.
fn the_signature<'a, 'i>(document: &'a Document<'i>) -> Result<Node<'a, 'i>> {
    let root = document.root_element();
    if !root.has_tag_name((RDF, "RDF")) {
        return Err(refused("signature-root", "the root of the document is not rdf:RDF"));
    }
    let descriptions = root.descendants().filter(|n| n.has_tag_name((RDF, "Description"))).count();
    if descriptions != 1 {
        let message = format!("the document has {descriptions} rdf:Description, not one");
        return Err(refused("signature-description", message));
    }
    // Of any namespace: other readers look for the name alone.
    let mut found = root.descendants().filter(|n| n.tag_name().name() == "Signature");
    let Some(signature) = found.next() else {
        return Err(refused("signature-missing", "the document is not signed")
            .remedy("sign it with stratus-publish metadata sign, or get the signed one"));
    };
    if found.next().is_some() {
        return Err(refused("signature-several", "the document has more than one Signature"));
    }
    if !signature.has_tag_name((DSIG, "Signature")) || root.last_element_child() != Some(signature)
    {
        let message = "the Signature is not the last element of the document";
        return Err(refused("signature-place", message));
    }
    Ok(signature)
}

/// A document with a relative name of a namespace has no canonical form (Canonical XML 1.0, section
/// 1.3), so other verifiers refuse it.
fn only_absolute_namespaces(document: &Document<'_>) -> Result<()> {
    let relative = |name: &str| {
        let scheme = name.split_once(':').map_or("", |(scheme, _)| scheme);
        let mut letters = scheme.chars();
        !letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            || !letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let elements = document.descendants().filter(Node::is_element);
    let mut names = elements.flat_map(|node| node.namespaces()).map(|namespace| namespace.uri());
    match names.find(|name| !name.is_empty() && relative(name)) {
        None => Ok(()),
        Some(name) => {
            let message = format!("{} is no absolute name of a namespace", quoted(name));
            Err(refused("signature-namespace", message)
                .remedy("write it as a URI with its scheme, and sign it again"))
        }
    }
}

/// The children of an element: these elements and no others, white space aside.
fn children<'a, 'i, const N: usize>(
    parent: Node<'a, 'i>,
    names: [&str; N],
) -> Result<[Node<'a, 'i>; N]> {
    let found = elements(parent)?;
    let fits = |(node, name): (&Node<'_, '_>, &str)| node.has_tag_name((DSIG, name));
    <[Node<'a, 'i>; N]>::try_from(found)
        .ok()
        .filter(|found| found.iter().zip(names).all(fits))
        .ok_or_else(|| {
            let parent = parent.tag_name().name();
            let message = format!("{parent} does not consist of {}", names.join(", "));
            refused("signature-structure", message)
        })
}

/// The elements in an element, which has nothing else but white space.
fn elements<'a, 'i>(parent: Node<'a, 'i>) -> Result<Vec<Node<'a, 'i>>> {
    let blank =
        |n: &Node<'_, '_>| n.is_text() && n.text().unwrap_or_default().chars().all(xml::white);
    if parent.children().all(|n| n.is_element() || blank(&n)) {
        return Ok(parent.children().filter(|n| n.is_element()).collect());
    }
    let parent = parent.tag_name().name();
    Err(refused("signature-structure", format!("{parent} has something between its elements")))
}

/// No other attributes than these.
fn attributes(node: Node<'_, '_>, allowed: &[&str]) -> Result<()> {
    let fits =
        |a: roxmltree::Attribute<'_, '_>| a.namespace().is_none() && allowed.contains(&a.name());
    if node.attributes().all(fits) {
        return Ok(());
    }
    let name = node.tag_name().name();
    Err(refused(
        "signature-structure",
        format!("{name} has an attribute that does not belong to it"),
    ))
}

/// The algorithm that an element names. It has no parameters.
fn algorithm<T>(node: Node<'_, '_>, known: impl Fn(&str) -> Option<T>) -> Result<T> {
    attributes(node, &["Algorithm"])?;
    if node.has_children() {
        let message = format!("{} has parameters", node.tag_name().name());
        return Err(refused("signature-algorithm", message));
    }
    let name = node.attribute("Algorithm").unwrap_or_default();
    known(name).ok_or_else(|| {
        let element = node.tag_name().name();
        let message = format!("{element} names the algorithm {}", quoted(name));
        refused("signature-algorithm", message).remedy(
            "sign it again with rsa-sha1, rsa-sha256 or rsa-sha512, a digest of the same family, \
             and Canonical XML 1.0",
        )
    })
}

/// Nothing may be hidden from the digest but the signature itself.
fn only_enveloped(transforms: Node<'_, '_>) -> Result<()> {
    let mut names = Vec::new();
    for transform in elements(transforms)? {
        attributes(transform, &["Algorithm"])?;
        if !transform.has_tag_name((DSIG, "Transform")) || transform.has_children() {
            return Err(refused("signature-transform", "a Transform has parameters"));
        }
        names.push(transform.attribute("Algorithm").unwrap_or_default());
    }
    // Without comments or with: the digested document has none left by then.
    let c14n = |name: &str| algorithms::comments(name).is_some();
    match names[..] {
        [algorithms::ENVELOPED] => Ok(()),
        [algorithms::ENVELOPED, last] if c14n(last) => Ok(()),
        _ => {
            let message = "the transforms are not enveloped-signature alone, or that and Canonical \
                           XML";
            Err(refused("signature-transform", message))
        }
    }
}

/// The octets of an element that holds base64 and nothing else.
fn octets(node: Node<'_, '_>) -> Result<Vec<u8>> {
    let name = node.tag_name().name();
    let wrong = |what: &str| refused("signature-base64", format!("{name} {what}"));
    let mut children = node.children();
    let (Some(text), None) =
        (children.next().and_then(|n| n.text().filter(|_| n.is_text())), children.next())
    else {
        return Err(wrong("is not one piece of text"));
    };
    let text: String = text.chars().filter(|c| !xml::white(*c)).collect();
    Base64::decode_vec(&text).map_err(|_| wrong("is not base64"))
}
