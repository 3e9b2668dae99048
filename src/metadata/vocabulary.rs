//! The namespaces of a manifest, and the elements in them.

use roxmltree::Node;

/// RDF: `Description`, `about`, `parseType`. Its prefix has to be `rdf`: the reference server
/// looks for it in the text.
pub const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
/// Dublin Core terms: title, dates, creator.
pub const DCTERMS: &str = "http://purl.org/dc/terms/";
/// Dublin Core elements 1.1, the parents of those.
pub(super) const DC: &str = "http://purl.org/dc/elements/1.1/";
/// What StratusLab demands of every entry.
pub const SLREQ: &str = "http://mp.stratuslab.eu/slreq#";
/// What StratusLab knows besides.
pub const SLTERMS: &str = "http://mp.stratuslab.eu/slterms#";
/// XML signatures.
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// What this program adds: the facts of the image file and the guest's edits. A name, not a place;
/// the digit is the version of the form.
pub const OWN: &str = "urn:x-stratus:image:1#";
/// The value of `xml:base` on every root.
pub const BASE: &str = "http://mp.stratuslab.eu/";
/// The namespace of `xml:base` and `xml:lang`.
pub(super) const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of `xsi:type`.
pub(super) const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The prefixes by which people know the namespaces.
const PREFIXES: [(&str, &str); 9] = [
    (RDF, "rdf"),
    (DCTERMS, "dcterms"),
    (DC, "dc"),
    (SLREQ, "slreq"),
    (SLTERMS, "slterms"),
    (DSIG, "dsig"),
    (OWN, "stratus"),
    (XML, "xml"),
    (XSI, "xsi"),
];

/// Whether the node is this element.
pub(super) fn is(node: Node, namespace: &str, name: &str) -> bool {
    node.is_element()
        && node.tag_name().name() == name
        && node.tag_name().namespace() == Some(namespace)
}

/// The name as people know it, whatever the prefix in the document is.
pub(super) fn qualified(namespace: Option<&str>, name: &str) -> String {
    let known = PREFIXES.iter().find(|(known, _)| Some(*known) == namespace);
    match (known, namespace) {
        (Some((_, prefix)), _) => format!("{prefix}:{name}"),
        (None, Some(namespace)) => plain(&format!("{name} of {namespace}")),
        (None, None) => name.to_owned(),
    }
}

/// [`qualified`] of an element.
pub(super) fn name_of(node: Node) -> String {
    qualified(node.tag_name().namespace(), node.tag_name().name())
}

/// All text in a node, as XPath's `string()` gives it: a comment does not cut it short.
pub(super) fn text(node: Node) -> String {
    node.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()
}

/// The text on one line of a terminal: what would move the cursor, or turn the direction of
/// writing, is spelled out.
pub(super) fn plain(text: &str) -> String {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if odd(c) {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The text in a message: quoted, on one line, not too long.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("\"{}…\"", plain(&text[..end])),
        None => format!("\"{}\"", plain(text)),
    }
}
