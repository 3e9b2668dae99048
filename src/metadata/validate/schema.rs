//! The original's schemas (`image-metadata.xsd`, `slreq.xsd`, `slterms.xsd`, and Dublin Core's
//! `dcterms.xsd`, `dc.xsd`) as code.
//!
//! The five elements that come first in a description have fixed places. Whatever follows them is
//! checked if one of the schemas declares it, at any depth, and passed over if not.

use roxmltree::{Attribute, Document, Node};

use super::MOST_FINDINGS;
use crate::metadata::datatypes::{integer, is_email, is_hex, is_integer, is_language, is_uri};
use crate::metadata::identifier;
use crate::metadata::vocabulary::{
    DC, DCTERMS, DSIG, RDF, SLREQ, SLTERMS, XML, XSI, is, name_of, qualified, quoted, text,
};
use crate::metadata::xml::white;

/// Dublin Core's elements 1.1.
const DC_ELEMENTS: &[&str] = &[
    "contributor",
    "coverage",
    "creator",
    "date",
    "description",
    "format",
    "identifier",
    "language",
    "publisher",
    "relation",
    "rights",
    "source",
    "subject",
    "title",
    "type",
];
/// What Dublin Core's terms have besides: not `compression`, for one.
const DC_TERMS: &[&str] = &[
    "abstract",
    "accessRights",
    "accrualMethod",
    "accrualPeriodicity",
    "accrualPolicy",
    "alternative",
    "audience",
    "available",
    "bibliographicCitation",
    "conformsTo",
    "created",
    "dateAccepted",
    "dateCopyrighted",
    "dateSubmitted",
    "educationLevel",
    "extent",
    "hasFormat",
    "hasPart",
    "hasVersion",
    "instructionalMethod",
    "isFormatOf",
    "isPartOf",
    "isReferencedBy",
    "isReplacedBy",
    "isRequiredBy",
    "issued",
    "isVersionOf",
    "license",
    "mediator",
    "medium",
    "modified",
    "provenance",
    "references",
    "replaces",
    "requires",
    "rightsHolder",
    "spatial",
    "tableOfContents",
    "temporal",
    "valid",
];

/// The types of elements.
#[derive(Clone, Copy)]
enum Type {
    /// `xs:string`.
    Text,
    /// `xs:nonNegativeInteger`.
    Count,
    /// A whole number up to this.
    UpTo(u32),
    /// `xs:anyURI`.
    Uri,
    /// `email-type`.
    Email,
    /// `checksum-value-type`.
    Hex,
    /// `dc:SimpleLiteral`: a text that may have a language.
    Literal,
    /// These, in this order.
    Resource(&'static [Part]),
    /// `rdf-type`: the root.
    Root,
    /// `xs:anyType`: what it has in it is checked if it is declared.
    Any,
    /// `dc:any`, which stands for others.
    Abstract,
}

/// An element in a sequence.
#[derive(Clone, Copy)]
struct Part {
    /// Its namespace and name; [`Schema::sequence`] knows what may stand for it.
    name: (&'static str, &'static str),
    kind: Type,
    at_least_one: bool,
    at_most_one: bool,
}

const fn one(namespace: &'static str, name: &'static str, kind: Type) -> Part {
    Part { name: (namespace, name), kind, at_least_one: true, at_most_one: true }
}

const CHECKSUM: &[Part] = &[one(SLREQ, "algorithm", Type::Text), one(SLREQ, "value", Type::Hex)];
const ENDORSEMENT: &[Part] =
    &[one(DCTERMS, "created", Type::Literal), one(SLREQ, "endorser", Type::Resource(ENDORSER))];
const ENDORSER: &[Part] = &[
    one(SLREQ, "email", Type::Email),
    one(SLREQ, "subject", Type::Text),
    Part { at_most_one: false, ..one(SLREQ, "issuer", Type::Text) },
];
/// The beginning of a description.
const DESCRIPTION: &[Part] = &[
    Part { at_least_one: false, ..one(RDF, "type", Type::Any) },
    one(DCTERMS, "identifier", Type::Literal),
    one(SLREQ, "bytes", Type::Count),
    Part { at_most_one: false, ..one(SLREQ, "checksum", Type::Resource(CHECKSUM)) },
    one(SLREQ, "endorsement", Type::Resource(ENDORSEMENT)),
];

/// The type of an element that one of the schemas declares.
fn declared(node: Node) -> Option<Type> {
    let name = node.tag_name();
    Some(match (name.namespace()?, name.name()) {
        (SLREQ, "bytes") => Type::Count,
        (SLREQ, "checksum") => Type::Resource(CHECKSUM),
        (SLREQ, "email") => Type::Email,
        (SLREQ, "subject" | "issuer") => Type::Text,
        (SLREQ, "endorsement") => Type::Resource(ENDORSEMENT),
        (SLREQ, "endorser") => Type::Resource(ENDORSER),
        (SLTERMS, "serial-number") => Type::Count,
        (SLTERMS, "inbound-port" | "outbound-port") => Type::UpTo(65_535),
        (SLTERMS, "icmp") => Type::UpTo(255),
        (SLTERMS, "location") => Type::Uri,
        (SLTERMS, "version" | "hypervisor" | "deprecated" | "os" | "os-arch" | "os-version") => {
            Type::Text
        }
        (RDF, "RDF") => Type::Root,
        (RDF, "type") => Type::Text,
        (DC, "any") => Type::Abstract,
        (DC, name) if DC_ELEMENTS.contains(&name) => Type::Literal,
        (DCTERMS, name) if DC_ELEMENTS.contains(&name) || DC_TERMS.contains(&name) => Type::Literal,
        _ => return None,
    })
}

/// What the schemas have against a document.
pub(super) fn check(document: &Document) -> Vec<String> {
    let mut schema = Schema { findings: Vec::new() };
    let root = document.root_element();
    if is(root, RDF, "RDF") {
        schema.root(root);
    } else {
        schema.finds(root, format!("the root is {}, not rdf:RDF", name_of(root)));
    }
    schema.findings
}

struct Schema {
    findings: Vec<String>,
}

impl Schema {
    fn finds(&mut self, node: Node, message: String) {
        if self.findings.len() < MOST_FINDINGS {
            let line = node.document().text_pos_at(node.range().start).row;
            self.findings.push(format!("line {line}: {message}"));
        }
    }

    /// `rdf-type`: a description, perhaps a signature.
    fn root(&mut self, node: Node) {
        self.only_elements(node);
        for attribute in node.attributes() {
            if !attribute_is(&attribute, XML, "base") {
                self.extra_attribute(node, &attribute);
            }
        }
        match node.attribute((XML, "base")) {
            None => self.finds(node, format!("{} has no xml:base", name_of(node))),
            Some(base) if !is_uri(base) => {
                self.finds(node, format!("xml:base is {}, not a URI", quoted(base)));
            }
            Some(_) => {}
        }
        let mut children = node.children().filter(|child| child.is_element());
        match children.next() {
            Some(first) if is(first, RDF, "Description") => self.description(first),
            Some(other) => {
                let message = format!("{} comes first, not rdf:Description", name_of(other));
                self.finds(other, message);
            }
            None => self.finds(node, "there is no rdf:Description".into()),
        }
        let signature = |node: &Node| node.tag_name().namespace() == Some(DSIG);
        let mut rest = children.peekable();
        // What is in a signature is not the schema's business.
        let _ = rest.next_if(signature);
        for extra in rest {
            self.finds(extra, format!("{} may not be here", name_of(extra)));
        }
    }

    fn description(&mut self, node: Node) {
        self.only_elements(node);
        for attribute in node.attributes() {
            if !attribute_is(&attribute, RDF, "about") {
                self.extra_attribute(node, &attribute);
            }
        }
        let about = node.attribute((RDF, "about")).unwrap_or_default();
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let sound = about
            .strip_prefix('#')
            .is_some_and(|name| name.len() == identifier::LEN && name.bytes().all(plain));
        if !sound {
            let message = format!("rdf:about is {}, not # and an identifier", quoted(about));
            self.finds(node, message);
        }
        if let Some(rest) = self.sequence(node, DESCRIPTION) {
            std::iter::successors(Some(rest), next_element).for_each(|node| self.lax(node));
        }
    }

    /// An element of `xs:any` with lax processing, or in one that is not declared.
    fn lax(&mut self, node: Node) {
        self.element(node, declared(node).unwrap_or(Type::Any));
    }

    /// Checks the elements of a sequence; what comes behind it, if all was found.
    fn sequence<'a, 'input>(
        &mut self,
        node: Node<'a, 'input>,
        parts: &[Part],
    ) -> Option<Node<'a, 'input>> {
        let mut next = node.first_element_child();
        for part in parts {
            let (namespace, name) = part.name;
            let mut found = false;
            while let Some(child) = next.filter(|child| stands_for(*child, namespace, name)) {
                self.element(child, part.kind);
                next = next_element(&child);
                found = true;
                if part.at_most_one {
                    break;
                }
            }
            if part.at_least_one && !found {
                let name = qualified(Some(namespace), name);
                let at = next.unwrap_or(node);
                let instead = next.map_or("nothing".into(), |node| name_of(node));
                let message = format!("{instead} in {} where {name} should be", name_of(node));
                self.finds(at, message);
                return None;
            }
        }
        next
    }

    fn element(&mut self, node: Node, kind: Type) {
        match kind {
            Type::Root => self.root(node),
            Type::Any => {
                node.attributes().for_each(|attribute| self.lax_attribute(node, &attribute));
                node.children().filter(|child| child.is_element()).for_each(|node| self.lax(node));
            }
            Type::Abstract => self.finds(node, format!("{} stands for others", name_of(node))),
            Type::Resource(parts) => {
                self.only_elements(node);
                for attribute in node.attributes() {
                    if attribute_is(&attribute, RDF, "parseType") {
                        self.lax_attribute(node, &attribute);
                    } else {
                        self.extra_attribute(node, &attribute);
                    }
                }
                if let Some(extra) = self.sequence(node, parts) {
                    let message = format!("{} may not be in {}", name_of(extra), name_of(node));
                    self.finds(extra, message);
                }
            }
            Type::Literal => {
                for attribute in node.attributes() {
                    if attribute_is(&attribute, XML, "lang") {
                        self.lax_attribute(node, &attribute);
                    } else {
                        self.extra_attribute(node, &attribute);
                    }
                }
                self.only_text(node);
            }
            simple => self.simple(node, simple),
        }
    }

    /// An element with a text of a type, and nothing else.
    fn simple(&mut self, node: Node, kind: Type) {
        node.attributes().for_each(|attribute| self.extra_attribute(node, &attribute));
        self.only_text(node);
        let text = text(node);
        let up_to = |most: u32| {
            let number = integer(&text);
            number.is_some_and(|number| number <= u64::from(most))
        };
        let (sound, what) = match kind {
            Type::Count => (is_integer(&text), "a whole number".to_owned()),
            Type::UpTo(most) => (up_to(most), format!("a whole number up to {most}")),
            Type::Uri => (is_uri(&text), "a URI".to_owned()),
            Type::Email => (is_email(&text), "an e-mail address".to_owned()),
            Type::Hex => (is_hex(&text), "hexadecimal digits".to_owned()),
            _ => return,
        };
        if !sound {
            self.finds(node, format!("{} is {}, not {what}", name_of(node), quoted(&text)));
        }
    }

    fn only_text(&mut self, node: Node) {
        if let Some(child) = node.first_element_child() {
            let message = format!("{} has {} in it, not a text", name_of(node), name_of(child));
            self.finds(child, message);
        }
    }

    fn only_elements(&mut self, node: Node) {
        let empty = |text: &str| text.chars().all(white);
        let text = node.children().find(|child| child.is_text() && !child.text().is_none_or(empty));
        if let Some(text) = text {
            let said = quoted(text.text().unwrap_or_default().trim());
            self.finds(text, format!("{} has the text {said} between elements", name_of(node)));
        }
    }

    fn extra_attribute(&mut self, node: Node, attribute: &Attribute) {
        let name = qualified(attribute.namespace(), attribute.name());
        self.finds(node, format!("{} has the attribute {name}", name_of(node)));
    }

    /// An attribute that is checked only if it is declared.
    fn lax_attribute(&mut self, node: Node, attribute: &Attribute) {
        let value = attribute.value();
        let sound = match (attribute.namespace(), attribute.name()) {
            (Some(RDF), "parseType") => value == "Resource",
            (Some(XML), "lang") => is_language(value),
            (Some(XML), "base") => is_uri(value),
            (Some(XML), "space") => matches!(value.trim(), "default" | "preserve"),
            (Some(XSI), _) => false,
            _ => true,
        };
        if !sound {
            let name = qualified(attribute.namespace(), attribute.name());
            let message = format!("{} has {name} {}", name_of(node), quoted(value));
            self.finds(node, message + ", which is not allowed");
        }
    }
}

fn next_element<'a, 'input>(node: &Node<'a, 'input>) -> Option<Node<'a, 'input>> {
    node.next_sibling_element()
}

fn attribute_is(attribute: &Attribute, namespace: &str, name: &str) -> bool {
    attribute.namespace() == Some(namespace) && attribute.name() == name
}

/// Whether it is this element, or one that Dublin Core lets stand for it.
fn stands_for(node: Node, namespace: &str, name: &str) -> bool {
    is(node, namespace, name)
        || (name == "identifier" && is(node, DCTERMS, "bibliographicCitation"))
}
