//! Canonical XML 1.0 (<https://www.w3.org/TR/2001/REC-xml-c14n-20010315>) of a parsed document.
//!
//! Two things are canonicalized here: a whole document without one element (what the digest of an
//! enveloped signature is made over), and one element with all in it (`SignedInfo`).
//!
//! The line ends of the text have to be normalized before it is parsed ([`xml::line_ends`]).
//!
//! The tree is walked, not recursed into. [`super::xml::parse`] bounds its depth, its nodes and the
//! namespaces that hold at one place, and with them the time that is needed here.

use roxmltree::{Attribute, Document, NS_XML_URI, Node, NodeId, NodeType};

use super::xml;

/// Whether comments are kept: `http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comments {
    /// They are left out.
    Without,
    /// They are kept.
    With,
}

/// The canonical form of a document, of which the element `without` and all in it is left out.
pub fn document(document: &Document<'_>, without: Option<Node<'_, '_>>, keep: Comments) -> Vec<u8> {
    let mut writer = Writer::new(document.input_text(), keep);
    writer.walk(document.root(), without.map(|node| node.id()));
    writer.out
}

/// The canonical form of an element and all in it, as a document subset (section 2.4).
///
/// Its start tag shows every namespace that holds there, used or not, and the attributes in the
/// `xml` namespace that it inherits.
pub fn element(element: Node<'_, '_>, keep: Comments) -> Vec<u8> {
    let mut writer = Writer::new(element.document().input_text(), keep);
    writer.walk(element, None);
    writer.out
}

/// Declarations that hold at one place, sorted by prefix: (prefix, name of the namespace). The
/// default namespace has the empty prefix.
type Scope<'a> = Vec<(&'a str, &'a str)>;

struct Writer<'a> {
    source: &'a str,
    keep: Comments,
    /// What is declared in each open element.
    scopes: Vec<Scope<'a>>,
    behind_root: bool,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(source: &'a str, keep: Comments) -> Self {
        Writer { source, keep, scopes: Vec::new(), behind_root: false, out: Vec::new() }
    }

    /// Writes `apex` and all in it but `left_out`, in the order of the document.
    fn walk(&mut self, apex: Node<'a, '_>, left_out: Option<NodeId>) {
        let mut node = apex;
        loop {
            if Some(node.id()) != left_out {
                self.begin(node);
                if let Some(child) = node.first_child() {
                    node = child;
                    continue;
                }
                self.end(node);
            }
            loop {
                if node == apex {
                    return;
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                let Some(parent) = node.parent() else { return };
                node = parent;
                self.end(node);
            }
        }
    }

    fn begin(&mut self, node: Node<'a, '_>) {
        match node.node_type() {
            NodeType::Root => {}
            NodeType::Element => self.start_tag(node),
            NodeType::Text => escape(node.text().unwrap_or_default(), false, &mut self.out),
            NodeType::Comment if self.keep == Comments::Without => {}
            NodeType::Comment => {
                let text = node.text().unwrap_or_default();
                self.alone(node, &format!("<!--{text}-->"));
            }
            NodeType::PI => {
                let Some(instruction) = node.pi() else { return };
                let value = instruction.value.map(|value| format!(" {value}"));
                let value = value.unwrap_or_default();
                self.alone(node, &format!("<?{}{value}?>", instruction.target));
            }
        }
    }

    fn end(&mut self, node: Node<'a, '_>) {
        if node.is_element() {
            self.scopes.pop();
            self.behind_root = self.scopes.is_empty();
            self.put("</");
            self.put(name_at(self.source, node.range().start + 1));
            self.put(">");
        }
    }

    /// A comment or an instruction; outside of the root it stands on a line of its own (section
    /// 2.3, processing instruction nodes).
    fn alone(&mut self, node: Node<'a, '_>, text: &str) {
        let outside = node.parent().is_some_and(|parent| parent.is_root());
        self.put(if outside && self.behind_root { "\n" } else { "" });
        self.put(text);
        self.put(if outside && !self.behind_root { "\n" } else { "" });
    }

    fn start_tag(&mut self, node: Node<'a, '_>) {
        self.put("<");
        self.put(name_at(self.source, node.range().start + 1));
        let scope = scope(node);
        let outer = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        if has_default(outer) && !has_default(&scope) {
            attribute("xmlns", "", &mut self.out);
        }
        for declaration @ (prefix, name) in &scope {
            if outer.binary_search(declaration).is_err() {
                let xmlns = if prefix.is_empty() { "xmlns" } else { "xmlns:" };
                attribute(&format!("{xmlns}{prefix}"), name, &mut self.out);
            }
        }
        let mut attributes: Vec<Attribute<'a, '_>> = node.attributes().collect();
        if self.scopes.is_empty() {
            attributes.extend(inherited(node));
        }
        attributes.sort_by_key(|a| (a.namespace().unwrap_or_default(), a.name()));
        for a in attributes {
            attribute(name_at(self.source, a.range().start), a.value(), &mut self.out);
        }
        self.put(">");
        self.scopes.push(scope);
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

/// What is declared for an element. `xmlns=""` declares nothing.
fn scope<'a>(node: Node<'a, '_>) -> Scope<'a> {
    let mut scope: Scope<'a> = node
        .namespaces()
        .filter(|namespace| namespace.name() != Some("xml") && !namespace.uri().is_empty())
        .map(|namespace| (namespace.name().unwrap_or_default(), namespace.uri()))
        .collect();
    scope.sort_unstable();
    scope
}

fn has_default(scope: &[(&str, &str)]) -> bool {
    scope.first().is_some_and(|(prefix, _)| prefix.is_empty())
}

/// The attributes in the `xml` namespace that the ancestors of an element have and it has not; of
/// two with one name the nearer counts.
fn inherited<'a, 'i>(node: Node<'a, 'i>) -> Vec<Attribute<'a, 'i>> {
    let is_xml = |a: &Attribute<'_, '_>| a.namespace() == Some(NS_XML_URI);
    let mut seen: Vec<&str> = node.attributes().filter(is_xml).map(|a| a.name()).collect();
    let mut found = Vec::new();
    for attribute in node.ancestors().skip(1).flat_map(|n| n.attributes()).filter(is_xml) {
        if !seen.contains(&attribute.name()) {
            seen.push(attribute.name());
            found.push(attribute);
        }
    }
    found
}

/// The name with its prefix, as it was written. The tree knows only the namespace, for which there
/// may be two prefixes.
fn name_at(source: &str, at: usize) -> &str {
    let rest = source.get(at..).unwrap_or_default();
    rest.split(|c| xml::white(c) || matches!(c, '/' | '>' | '=')).next().unwrap_or_default()
}

fn attribute(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    escape(value, true, out);
    out.push(b'"');
}

/// Text, or the value of an attribute (section 2.3, text nodes and attribute nodes).
fn escape(text: &str, in_attribute: bool, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'\r' => out.extend_from_slice(b"&#xD;"),
            b'>' if !in_attribute => out.extend_from_slice(b"&gt;"),
            b'"' if in_attribute => out.extend_from_slice(b"&quot;"),
            b'\t' if in_attribute => out.extend_from_slice(b"&#x9;"),
            b'\n' if in_attribute => out.extend_from_slice(b"&#xA;"),
            byte => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests;
