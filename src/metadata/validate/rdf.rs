//! Whether RDF statements can be made of a document without its signatures, which are none.

use oxrdfxml::RdfXmlParser;
use roxmltree::{Attribute, Document, Node};

use crate::metadata::vocabulary::{BASE, DSIG, RDF, XML, is, name_of, plain, qualified};

/// What stands in the way; the first of it.
pub(super) fn check(document: &Document) -> Vec<String> {
    let misplaced = document
        .root_element()
        .children()
        .filter(|node| node.is_element() && !is(*node, DSIG, "Signature"))
        .find_map(|node| misplaced(node, Role::Node));
    misplaced.or_else(|| unreadable(&bare(document))).into_iter().collect()
}

/// RDF/XML stacks them: nodes have properties, which have nodes.
#[derive(Clone, Copy)]
enum Role {
    Node,
    Property,
}

/// The attributes of RDF that may stand without a prefix, as they might once.
const UNQUALIFIED: [&str; 5] = ["about", "ID", "parseType", "resource", "type"];

/// An attribute that is not for its element (RDF 1.1 XML Syntax, section 7.2). The parser below
/// passes over it; the original does not.
fn misplaced(node: Node, role: Role) -> Option<String> {
    let parsed =
        matches!(role, Role::Property) && node.attributes().any(|a| is_rdf(&a, "parseType"));
    let filled = node.children().any(|child| child.is_element() || child.is_text());
    let abouts = node.attributes().filter(|attribute| is_rdf(attribute, "about")).count();
    let mut parse_types = 0;
    let mut allowed = |attribute: &Attribute| match role {
        Role::Node => {
            let no = ["resource", "parseType", "datatype", "bagID", "Description"];
            let twice = is_rdf(attribute, "about") && abouts > 1;
            !(twice || no.iter().any(|no| is_rdf(attribute, no)))
        }
        // With a parseType, there is nothing else.
        Role::Property if parsed => {
            let known = attribute.namespace().is_some_and(|namespace| namespace != XML)
                || UNQUALIFIED.contains(&attribute.name());
            parse_types += usize::from(is_rdf(attribute, "parseType"));
            !known
                || is_rdf(attribute, "ID")
                || (is_rdf(attribute, "parseType") && parse_types == 1)
        }
        // What is said of a node in the property has no place beside a text.
        Role::Property => {
            let beside = is_rdf(attribute, "type") && filled;
            !(beside || ["about", "bagID"].iter().any(|no| is_rdf(attribute, no)))
        }
    };
    if let Some(attribute) = node.attributes().find(|attribute| !allowed(attribute)) {
        let name = qualified(attribute.namespace(), attribute.name());
        return Some(format!("{} cannot have the attribute {name}", name_of(node)));
    }
    let parse_type = node.attributes().find(|attribute| is_rdf(attribute, "parseType"));
    let inside = match (role, parse_type.map(|attribute| attribute.value())) {
        (Role::Node, _) | (Role::Property, Some("Resource")) => Role::Property,
        // Any XML; or a list of nodes.
        (Role::Property, Some("Collection") | None) => Role::Node,
        (Role::Property, Some(_)) => return None,
    };
    let mut children = node.children().filter(|child| child.is_element());
    children.find_map(|child| misplaced(child, inside))
}

/// The text without signatures, comments and processing instructions, and with the attributes of
/// RDF in its namespace. RDF does not see comments, but the parser takes the text behind one for
/// another text; and the original's client wrote `parseType` without a prefix, as RDF allowed once.
fn bare(document: &Document) -> String {
    let text = document.input_text();
    let mut bare = String::with_capacity(text.len());
    let mut from = 0;
    for node in document.descendants() {
        let range = node.range();
        // What is in a signature went away with it.
        if range.start < from {
            continue;
        }
        if node.is_comment() || node.is_pi() || is(node, DSIG, "Signature") {
            bare.push_str(&text[from..range.start]);
            from = range.end;
        }
        let old = |attribute: &Attribute| {
            attribute.namespace().is_none() && UNQUALIFIED.contains(&attribute.name())
        };
        for (number, attribute) in node.attributes().filter(old).enumerate() {
            let start = attribute.range().start;
            bare.push_str(&text[from..start]);
            if number == 0 {
                bare.push_str(&format!("xmlns:of-rdf=\"{RDF}\" "));
            }
            bare.push_str("of-rdf:");
            from = start;
        }
    }
    bare.push_str(&text[from..]);
    without_cdata(&bare)
}

/// The text with references in place of CDATA sections, between which and the text beside them the
/// parser sees an end. There are no comments any more in which it could look as if one began.
fn without_cdata(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, section)) = rest.split_once("<![CDATA[") {
        let (inside, behind) = section.split_once("]]>").unwrap_or((section, ""));
        plain.push_str(before);
        let inside = inside.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        plain.push_str(&inside);
        rest = behind;
    }
    plain.push_str(rest);
    plain
}

/// Whether it is this attribute of RDF, with or without its namespace.
fn is_rdf(attribute: &Attribute, name: &str) -> bool {
    let namespace = attribute.namespace();
    attribute.name() == name
        && (namespace == Some(RDF) || namespace.is_none() && UNQUALIFIED.contains(&name))
}

fn unreadable(text: &str) -> Option<String> {
    let said = |error: &dyn std::fmt::Display| plain(&error.to_string());
    match RdfXmlParser::new().with_base_iri(BASE) {
        Ok(parser) => {
            let error = parser.for_slice(text.as_bytes()).find_map(Result::err);
            error.map(|error| said(&error))
        }
        Err(error) => Some(said(&error)),
    }
}
