//! What the schema cannot say. The rules are those of the original's validator, in its order; it
//! looks at every `rdf:RDF/rdf:Description` of the document, wherever it is.

use roxmltree::{Document, Node};

use crate::metadata::vocabulary::{
    BASE, DCTERMS, RDF, SLREQ, SLTERMS, XML, is, qualified, quoted, text,
};
use crate::metadata::{date, identifier};

/// Elements of which there may be only one.
const AT_MOST_ONE: [&str; 6] =
    ["serial-number", "version", "deprecated", "os", "os-arch", "os-version"];

/// What is wrong, and what a publisher should know.
pub(super) fn check(document: &Document, now: u64) -> (Vec<String>, Vec<String>) {
    let entries: Vec<Node> = document
        .descendants()
        .filter(|node| is(*node, RDF, "Description"))
        .filter(|node| node.parent().is_some_and(|parent| is(parent, RDF, "RDF")))
        .collect();
    let entry = Entry(entries);
    let mut failures = Vec::new();
    let mut demand = |holds: bool, message: String| {
        if !holds {
            failures.push(message);
        }
    };

    let base = document
        .descendants()
        .filter(|node| is(*node, RDF, "RDF"))
        .find_map(|root| root.attribute((XML, "base")))
        .unwrap_or_default();
    demand(base == BASE, format!("xml:base of the root is {}, not \"{BASE}\"", quoted(base)));

    let types = entry.all(DCTERMS, "type");
    demand(types.len() == 1, format!("there are {} dcterms:type, not exactly one", types.len()));
    let with_elements = types.iter().any(|node| node.children().any(|child| child.is_element()));
    demand(!with_elements, "dcterms:type has elements in it, not a text".into());

    let sha1 = entry.sha1_names();
    demand(sha1 == 1, format!("there are {sha1} SHA-1 checksums, not exactly one"));
    for name in AT_MOST_ONE {
        let count = entry.all(SLTERMS, name).len();
        let name = qualified(Some(SLTERMS), name);
        demand(count <= 1, format!("there are {count} {name}, at most one is allowed"));
    }

    let named = entry.first(DCTERMS, "identifier");
    let about = entry.about();
    let agree = about.strip_prefix('#') == Some(named.as_str());
    let message =
        format!("rdf:about is {}, dcterms:identifier is {}", quoted(&about), quoted(&named));
    demand(agree, message + ": they do not name the same");
    demand(
        identifier::to_sha1(&named).is_ok_and(|sha1| same_number(&sha1, &entry.sha1())),
        format!(
            "the identifier {} is not that of the SHA-1 {}",
            quoted(&named),
            quoted(&entry.sha1())
        ),
    );

    let valid = entry.first(DCTERMS, "valid");
    let created = entry.created();
    for (name, text) in
        [("dcterms:valid", &valid), ("dcterms:created of the endorsement", &created)]
    {
        let sound = text.is_empty() || date::is_date(text);
        demand(sound, format!("{name} is {}, not a time like 2026-11-23T14:00:00Z", quoted(text)));
    }
    (failures, warnings(&valid, now))
}

fn warnings(valid: &str, now: u64) -> Vec<String> {
    let mut warnings = Vec::new();
    if valid.is_empty() {
        warnings.push("there is no dcterms:valid: no StratusLab server lists the entry".to_owned());
    } else if date::epoch(valid).is_ok_and(|end| end <= now) {
        warnings.push(format!("its validity ended on {}", quoted(valid)));
    }
    warnings
}

/// Whether two hexadecimal texts are the same number.
fn same_number(one: &str, other: &str) -> bool {
    let significant = |hex: &str| hex.trim_start_matches('0').to_ascii_lowercase();
    !other.is_empty() && significant(one) == significant(other)
}

/// All descriptions, as if they were one.
struct Entry<'a, 'input>(Vec<Node<'a, 'input>>);

impl<'a, 'input> Entry<'a, 'input> {
    fn all(&self, namespace: &'static str, name: &'static str) -> Vec<Node<'a, 'input>> {
        self.0.iter().flat_map(|entry| inside(*entry, namespace, name)).collect()
    }

    /// The text of the first of these elements, or nothing.
    fn first(&self, namespace: &'static str, name: &'static str) -> String {
        self.all(namespace, name).first().map(|node| text(*node)).unwrap_or_default()
    }

    fn about(&self) -> String {
        let about = self.0.iter().find_map(|entry| entry.attribute((RDF, "about")));
        about.unwrap_or_default().to_owned()
    }

    /// How many elements name the algorithm, in one of their pieces of text.
    fn sha1_names(&self) -> usize {
        let sums = self.all(SLREQ, "checksum");
        let named = sums.iter().flat_map(|sum| inside(*sum, SLREQ, "algorithm"));
        named.filter(|node| node.children().any(|piece| is_text(piece, "SHA-1"))).count()
    }

    /// The first value that has the algorithm's name somewhere in front of it.
    fn sha1(&self) -> String {
        for sum in self.all(SLREQ, "checksum") {
            let mut named = false;
            for node in sum.children() {
                if named && is(node, SLREQ, "value") {
                    return text(node);
                }
                named |= is(node, SLREQ, "algorithm") && text(node) == "SHA-1";
            }
        }
        String::new()
    }

    fn created(&self) -> String {
        let endorsements = self.all(SLREQ, "endorsement");
        let mut created = endorsements.iter().flat_map(|node| inside(*node, DCTERMS, "created"));
        created.next().map(text).unwrap_or_default()
    }
}

fn inside<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| is(*child, namespace, name))
}

fn is_text(node: Node, expected: &str) -> bool {
    node.is_text() && node.text() == Some(expected)
}
