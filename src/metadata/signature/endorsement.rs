//! The endorsement of an entry: who says so, and since when.

use roxmltree::{Document, Node};

use crate::error::{Error, Kind, Result};
use crate::metadata::{DCTERMS, RDF, SLREQ, xml};

/// What an endorsement says.
pub struct Endorsement {
    pub created: String,
    pub email: String,
    pub subject: String,
    pub issuer: String,
}

/// Reads the endorsement of a document in canonical form.
///
/// There may be one only, and one of each element in it, in the whole document: the reference takes
/// the first that it finds anywhere, others may take the last.
pub fn read(octets: &[u8]) -> Result<Endorsement> {
    let document = xml::parse(octets)?;
    let description = one(&document, (RDF, "Description"), document.root_element())?;
    let endorsement = one(&document, (SLREQ, "endorsement"), description)?;
    let endorser = one(&document, (SLREQ, "endorser"), endorsement)?;
    let mut created = endorsement.children().filter(|n| n.has_tag_name((DCTERMS, "created")));
    let (Some(created), None) = (created.next(), created.next()) else {
        return Err(wrong("the endorsement has not one dcterms:created"));
    };
    let field = |name| one(&document, (SLREQ, name), endorser).and_then(text);
    Ok(Endorsement {
        created: text(created)?,
        email: field("email")?,
        subject: field("subject")?,
        issuer: field("issuer")?,
    })
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(Kind::Refused, "signature-endorsement", message)
}

/// The only element of this name in the document, which is a child of `parent`.
fn one<'a, 'i>(
    document: &'a Document<'i>,
    name: (&str, &str),
    parent: Node<'a, 'i>,
) -> Result<Node<'a, 'i>> {
    let mut found = document.descendants().filter(|n| n.has_tag_name(name));
    match (found.next(), found.next()) {
        (Some(node), None) if node.parent() == Some(parent) => Ok(node),
        _ => Err(wrong(format!("the document has not one {} at its place", name.1))),
    }
}

/// The text of an element that has nothing but text.
fn text(node: Node<'_, '_>) -> Result<String> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (Some(only), None) if only.is_text() => Ok(only.text().unwrap_or_default().to_owned()),
        _ => Err(wrong(format!("{} is not one piece of text", node.tag_name().name()))),
    }
}
