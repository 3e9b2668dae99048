//! Reads a marketplace's list: signed documents side by side within `<metadata>`, or a single one.

use roxmltree::Node;

use crate::error::{Error, Kind, Result};
use crate::metadata::{DCTERMS, RDF, SLREQ, date, xml};
use crate::publish::registry::Newest;

/// When the entries of an image and an endorser in a list were endorsed, the newest first. Nothing
/// of it is verified; entries of others, and those without a proper time, are passed over.
///
/// # Errors
/// `Protocol` if it is no list, or larger than a list may be.
pub fn newest_first(document: &[u8], identifier: &str, email: &str) -> Result<Vec<Newest>> {
    let document = xml::parse(document).map_err(|e| {
        let error = e.within("the marketplace's list").with_kind(Kind::Protocol);
        error.remedy("check --marketplace: this may not be the address of one")
    })?;
    let root = document.root_element();
    if !root.has_tag_name("metadata") && !root.has_tag_name((RDF, "RDF")) {
        let message =
            format!("a marketplace does not answer with <{:.80}>", root.tag_name().name());
        return Err(Error::new(Kind::Protocol, "marketplace-answer", message)
            .remedy("check --marketplace: this may not be the address of one"));
    }
    let mut found: Vec<Newest> = document
        .descendants()
        .filter(|node| node.has_tag_name((RDF, "Description")))
        .filter_map(|entry| {
            let endorsement = child(entry, SLREQ, "endorsement")?;
            let endorser = child(endorsement, SLREQ, "endorser")?;
            let ours = text(entry, DCTERMS, "identifier")? == identifier
                && text(endorser, SLREQ, "email")? == email;
            text(endorsement, DCTERMS, "created").filter(|_| ours)
        })
        .filter(|created| date::epoch(created).is_ok())
        .map(|created| Newest { created })
        .collect();
    found.sort_by(|a, b| b.created.cmp(&a.created));
    found.dedup();
    Ok(found)
}

fn child<'a, 'i>(node: Node<'a, 'i>, namespace: &str, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.has_tag_name((namespace, name)))
}

/// All text in an element: a comment cuts nothing off, as for the servers.
fn text(node: Node<'_, '_>, namespace: &str, name: &str) -> Option<String> {
    let texts = child(node, namespace, name)?.descendants().filter(|node| node.is_text());
    let all: String = texts.filter_map(|node| node.text()).collect();
    Some(all.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "MMZu9WvwKIro-rtBQfDk4PsKO7_";

    fn entry(identifier: &str, email: &str, created: &str) -> String {
        format!(
            r##"<rdf:RDF xmlns:rdf="{RDF}" xmlns:a="{DCTERMS}" xmlns:s="{SLREQ}">
            <rdf:Description rdf:about="#{identifier}"><a:created>2030-01-01T00:00:00Z</a:created>
            <a:identifier>{identifier}</a:identifier><s:endorsement rdf:parseType="Resource">
            <a:created>{created}</a:created><s:endorser rdf:parseType="Resource">
            <s:email>{email}</s:email></s:endorser></s:endorsement></rdf:Description></rdf:RDF>"##
        )
    }

    fn found(entries: &[String]) -> Option<String> {
        let list = format!("<metadata>{}</metadata>", entries.concat());
        let found = newest_first(list.as_bytes(), ID, "jane@example.org").unwrap();
        found.into_iter().next().map(|newest| newest.created)
    }

    #[test]
    fn the_newest_entry_of_image_and_endorser_is_found() {
        let (old, new) = ("2026-11-23T14:00:00Z", "2026-11-23T14:00:01Z");
        let ours = |created| entry(ID, "jane@example.org", created);
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[ours(old), ours(new), ours("2015-01-01T00:00:00Z")]).unwrap(), new);
        let late = "2029-01-01T00:00:00Z";
        let others = [
            entry(ID, "joe@example.org", late),
            entry("No5o-5ea0sNMlW_75VgGJCv2AcJ", "jane@example.org", late),
            ours("tomorrow"),
            ours("2029-02-30T00:00:00Z"),
        ];
        assert_eq!(found(&others), None);
        assert_eq!(found(&[&others[..], &[ours(old)]].concat()).unwrap(), old);
        let alone = newest_first(ours(new).as_bytes(), ID, "jane@example.org").unwrap();
        assert_eq!(alone[0].created, new);
        // A comment does not hide an entry.
        let cut =
            ours(new).replace(&format!(">{ID}"), &format!(">{}<!-- -->{}", &ID[..5], &ID[5..]));
        assert_eq!(found(&[cut]).unwrap(), new);
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let deep = "<a>".repeat(1000) + &"</a>".repeat(1000);
        let doctype = "<!DOCTYPE a [<!ENTITY b 'c'>]><metadata>&b;</metadata>";
        for text in ["", "no", "<metadata>", "{}", &deep, doctype] {
            let error = newest_first(text.as_bytes(), ID, "jane@example.org").unwrap_err();
            assert_eq!(error.kind(), Kind::Protocol, "{text:.40}");
        }
    }
}
