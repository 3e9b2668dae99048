//! Endorses an entry and signs it. The text is changed at two places and nowhere else: the
//! endorsement is written anew, and the signature is put in before the end of the root.

use std::ops::Range;

use base64ct::{Base64, Encoding};
use roxmltree::Node;

use super::algorithms::{C14N, C14N_WITH_COMMENTS, ENVELOPED, Hash};
use super::{Options, Profile, structure, verify};
use crate::error::{Error, Kind, Result};
use crate::metadata::keys::Endorser;
use crate::metadata::{DCTERMS, DSIG, RDF, SLREQ, c14n, date, is_email, xml};

/// The longest line of base64 (RFC 2045, section 6.8). Longer ones are legal in XML; this is what
/// StratusLab's programs write.
const LINE: usize = 76;

/// Signs an entry as the reference does.
///
/// Signatures that it has are dropped, and all endorsements but the last. That one is filled anew: the
/// time of [`Options::created`], the names of the certificate, and its e-mail address, or that of
/// [`Options::email`] if it has none. The result is verified before it is returned. The same input
/// gives the same text.
///
/// # Errors
/// `Damaged` (`date`) for a time that is none; `Usage` without an e-mail address
/// (`signature-no-email`) or with one that is none (`signature-email`); `Refused` for an entry
/// without place for an endorsement (`signature-endorsement`) or a name that XML cannot carry
/// (`signature-name`); those of [`xml::parse`] and of [`verify()`].
pub fn sign(unsigned: &str, endorser: &Endorser, options: &Options) -> Result<String> {
    let now = date::epoch(&options.created)?;
    let text = without_signatures(unsigned)?;
    let text = endorsed(&text, endorser, options)?;
    let signed = appended(&text, endorser, options)?;
    verify(signed.as_bytes(), now)?;
    Ok(signed)
}

/// The text with a signature at its end, whatever it says.
pub(super) fn appended(text: &str, endorser: &Endorser, options: &Options) -> Result<String> {
    let (c14n, method, digest_method) = match options.profile {
        Profile::Stratuslab if options.sha256_digest => {
            (C14N_WITH_COMMENTS, Hash::Sha1, Hash::Sha256)
        }
        Profile::Stratuslab => (C14N_WITH_COMMENTS, Hash::Sha1, Hash::Sha1),
        Profile::Modern => (C14N, Hash::Sha256, Hash::Sha256),
    };
    let lines = xml::line_ends(text.as_bytes());
    let octets = c14n::document(&xml::parse(&lines)?, None, c14n::Comments::Without);
    let digest = digest_method.digest(&octets);
    let certificate = endorser.certificate().der();
    let block = Block { c14n, method, digest_method, digest, certificate };
    let end = end_of_root(text)?;
    let with = |value: &[u8]| format!("{}{}{}", &text[..end], block.text(value), &text[end..]);
    // `SignedInfo` is signed as it stands in the document, with the namespaces that hold there.
    let draft = with(b"to be signed");
    let lines = xml::line_ends(draft.as_bytes());
    let tree = xml::parse(&lines)?;
    let found = structure::read(&tree)?;
    let value = method.sign(endorser.key(), &c14n::element(found.signed_info, found.comments));
    Ok(with(&value.map_err(|e| {
        Error::new(Kind::Internal, "signature-failed", format!("RSA: {e}"))
            .remedy("check the private key")
    })?))
}

fn refused(code: &'static str, message: impl Into<String>) -> Error {
    Error::new(Kind::Refused, code, message)
}

/// A text in which `range` is replaced.
fn replaced(text: &str, range: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

/// A text without some ranges, which are in order and do not overlap.
fn cut(text: &str, ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges {
        out.push_str(&text[from..range.start]);
        from = range.end;
    }
    out + &text[from..]
}

fn without_signatures(text: &str) -> Result<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let tree = xml::parse(text.as_bytes())?;
    let is_signature = |n: &Node<'_, '_>| n.has_tag_name((DSIG, "Signature"));
    let ranges: Vec<Range<usize>> = tree
        .descendants()
        .filter(is_signature)
        // One inside of another goes with it.
        .filter(|n| !n.ancestors().skip(1).any(|above| is_signature(&above)))
        .map(|n| n.range())
        .collect();
    Ok(cut(text, &ranges))
}

/// The text with one endorsement, that of `endorser`.
fn endorsed(text: &str, endorser: &Endorser, options: &Options) -> Result<String> {
    let tree = xml::parse(text.as_bytes())?;
    let description = tree.root_element().children().find(|n| n.has_tag_name((RDF, "Description")));
    let Some(description) = description else {
        return Err(refused("signature-description", "the root has no rdf:Description in it"));
    };
    let mut found: Vec<Range<usize>> = description
        .children()
        .filter(|n| n.has_tag_name((SLREQ, "endorsement")))
        .map(|n| n.range())
        .collect();
    let Some(last) = found.pop() else {
        return Err(refused("signature-endorsement", "the entry has no slreq:endorsement")
            .remedy("put <slreq:endorsement rdf:parseType=\"Resource\"/> behind the checksums"));
    };
    let block = endorsement(description, indent(text, last.start), endorser, options)?;
    Ok(cut(&replaced(text, last, &block), &found))
}

/// The white space in front of an element that begins its line, and its line end.
fn indent(text: &str, at: usize) -> Option<&str> {
    let line = text[..at].rfind('\n')? + 1;
    let space = &text[line..at];
    space.chars().all(|c| c == ' ' || c == '\t').then_some(space)
}

fn endorsement(
    parent: Node<'_, '_>,
    indent: Option<&str>,
    endorser: &Endorser,
    options: &Options,
) -> Result<String> {
    let email = match (endorser.email(), options.email.as_deref()) {
        (Some(email), _) | (None, Some(email)) => email,
        (None, None) => {
            let message = "neither the certificate nor the command has an e-mail address";
            return Err(Error::new(Kind::Usage, "signature-no-email", message)
                .remedy("give one, or a certificate with one as alternative name"));
        }
    };
    if !is_email(email) {
        let message = format!("{email:?} is not an e-mail address as endorsements have them");
        return Err(Error::new(Kind::Usage, "signature-email", message));
    }
    // Prefixes that mean something else at this place are declared anew.
    let declared: String = [("rdf", RDF), ("dcterms", DCTERMS), ("slreq", SLREQ)]
        .into_iter()
        .filter(|(prefix, name)| parent.lookup_namespace_uri(Some(prefix)) != Some(*name))
        .map(|(prefix, name)| format!(" xmlns:{prefix}=\"{name}\""))
        .collect();
    let line =
        |depth: usize| indent.map_or(String::new(), |i| format!("\n{i}{}", "  ".repeat(depth)));
    let (outer, inner, innermost) = (line(0), line(1), line(2));
    let (created, email) = (escaped(&options.created)?, escaped(email)?);
    let (subject, issuer) = (escaped(endorser.subject())?, escaped(endorser.issuer())?);
    Ok(format!(
        "<slreq:endorsement{declared} rdf:parseType=\"Resource\">\
         {inner}<dcterms:created>{created}</dcterms:created>\
         {inner}<slreq:endorser rdf:parseType=\"Resource\">\
         {innermost}<slreq:email>{email}</slreq:email>\
         {innermost}<slreq:subject>{subject}</slreq:subject>\
         {innermost}<slreq:issuer>{issuer}</slreq:issuer>\
         {inner}</slreq:endorser>\
         {outer}</slreq:endorsement>"
    ))
}

/// Text of an element, so that a parser gives it back as it is.
fn escaped(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            // What is left of XML 1.0, production 2.
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => {
                let message = format!("a name in the certificate has {c:?} in it");
                return Err(refused("signature-name", message)
                    .remedy("use another certificate: XML cannot carry this character"));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Where the end tag of the root begins.
fn end_of_root(text: &str) -> Result<usize> {
    let tree = xml::parse(text.as_bytes())?;
    let root = tree.root_element().range();
    let end = text[root.clone()].rfind("</").filter(|_| tree.root_element().has_children());
    let nothing = || refused("signature-description", "there is nothing in the root to sign");
    Ok(root.start + end.ok_or_else(nothing)?)
}

/// The form of 2011, to the byte but for the line ends of base64.
struct Block<'a> {
    c14n: &'static str,
    method: Hash,
    digest_method: Hash,
    digest: Vec<u8>,
    certificate: &'a [u8],
}

impl Block<'_> {
    fn text(&self, value: &[u8]) -> String {
        let Block { c14n, method, digest_method, digest, certificate } = self;
        let (method, digest_method) = (method.signature_method(), digest_method.digest_method());
        let (digest, value, certificate) = (base64(digest), base64(value), base64(certificate));
        format!(
            "<Signature xmlns=\"{DSIG}\">\
             <SignedInfo>\
             <CanonicalizationMethod Algorithm=\"{c14n}\"/>\
             <SignatureMethod Algorithm=\"{method}\"/>\
             <Reference URI=\"\">\
             <Transforms><Transform Algorithm=\"{ENVELOPED}\"/></Transforms>\
             <DigestMethod Algorithm=\"{digest_method}\"/>\
             <DigestValue>{digest}</DigestValue>\
             </Reference>\
             </SignedInfo>\
             <SignatureValue>{value}</SignatureValue>\
             <KeyInfo><X509Data><X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo>\
             </Signature>"
        )
    }
}

fn base64(bytes: &[u8]) -> String {
    let text = Base64::encode_string(bytes);
    let mut lines = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(LINE));
        lines.push(line);
        rest = more;
    }
    lines.join("\n")
}
