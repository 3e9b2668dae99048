//! Taking an entry back. A server has no other way than a newer entry that says so.

use super::manifest::Manifest;
use super::vocabulary::{RDF, SLTERMS, is, plain, text};
use super::write::escaped;
use super::xml;
use crate::error::{Error, Kind, Result};

/// The same document, with the reason why its image should no longer be used. Nothing else changes,
/// not even what this program does not know; an old reason is replaced. The old signature is still
/// in it, and broken: the document has to be signed again.
///
/// # Errors
/// Those of [`Manifest::from_xml`]; `Refused` for an empty reason (`manifest-value`) and for one
/// that XML cannot carry.
pub fn deprecate(document: &[u8], reason: &str) -> Result<String> {
    if reason.trim().is_empty() {
        let message = "the reason of the deprecation is empty";
        return Err(Error::new(Kind::Refused, "manifest-value", message)
            .remedy("say why the image must not be used any more"));
    }
    let reason = escaped("slterms:deprecated", reason)?;
    let element = format!("<deprecated xmlns=\"{SLTERMS}\">{reason}</deprecated>");
    Manifest::from_xml(document)?;
    let parsed = xml::parse(document)?;
    let text = parsed.input_text();
    let mut entries = parsed.root_element().children().filter(|node| is(*node, RDF, "Description"));
    // The reader has seen that it is there, and has elements in it.
    let entry = entries.next().and_then(|entry| {
        let end = text[entry.range()].rfind("</")?;
        Some((entry, entry.range().start + end))
    });
    let Some((entry, end)) = entry else {
        return Err(Error::new(Kind::Damaged, "manifest-form", "nothing is described"));
    };
    let old = entry.children().find(|node| is(*node, SLTERMS, "deprecated"));
    let range = old.map_or(end..end, |old| old.range());
    let line = if old.is_some() { element } else { format!("  {element}\n  ") };
    Ok(format!("{}{line}{}", &text[..range.start], &text[range.end..]))
}

/// The longest reason that is told, in characters.
const LONGEST_REASON: usize = 300;

/// Why a document takes its image back, on one line; none if it does not. For servers it is enough
/// that the element is there, whatever else is wrong with the document.
///
/// # Errors
/// Those of [`xml::parse`].
pub fn taken_back(document: &[u8]) -> Result<Option<String>> {
    let parsed = xml::parse(document)?;
    let reason = parsed.descendants().find(|node| is(*node, SLTERMS, "deprecated")).map(text);
    Ok(reason.map(|reason| match reason.trim() {
        "" => "(no reason is given)".to_owned(),
        reason => plain(&reason.chars().take(LONGEST_REASON).collect::<String>()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    fn document() -> String {
        let manifest = Manifest {
            checksums: [(Algorithm::Sha1, "ab".repeat(20))].into(),
            ..Manifest::default()
        };
        manifest.to_xml().unwrap()
    }

    fn reason(document: &str) -> Option<String> {
        Manifest::from_xml(document.as_bytes()).unwrap().deprecated
    }

    #[test]
    fn only_the_reason_changes() {
        let foreign = "<a:b xmlns:a=\"urn:a\">kept</a:b>\n  </rdf:Description>";
        let before = document().replace("</rdf:Description>", foreign);
        let once = deprecate(before.as_bytes(), "old & <bad>").unwrap();
        assert_eq!(reason(&once).as_deref(), Some("old & <bad>"));
        let added =
            format!("  <deprecated xmlns=\"{SLTERMS}\">old &amp; &lt;bad&gt;</deprecated>\n  ");
        assert_eq!(once.replacen(&added, "", 1), before);
        let twice = deprecate(once.as_bytes(), "older").unwrap();
        assert_eq!(reason(&twice).as_deref(), Some("older"));
        assert_eq!(twice.len() + "old &amp; &lt;bad&gt;".len(), once.len() + "older".len());
    }

    #[test]
    fn what_is_no_reason_or_no_manifest_is_refused() {
        let code = |document: &str, reason: &str| {
            deprecate(document.as_bytes(), reason).unwrap_err().code()
        };
        assert_eq!(code(&document(), " "), "manifest-value");
        assert_eq!(code(&document(), "\u{7}"), "manifest-character");
        assert_eq!(code("<rdf/>", "old"), "manifest-form");
    }
    /// Also where this program's own reader gives up.
    #[test]
    fn what_takes_an_image_back_is_seen_by_its_element_alone() {
        let with = |element: &str| {
            let port = "<slterms:inbound-port>22,80</slterms:inbound-port>";
            let both = format!("{port}{element}<slterms:os>");
            taken_back(document().replacen("<slterms:os>", &both, 1).as_bytes()).unwrap()
        };
        assert_eq!(with(""), None);
        assert_eq!(with("<slterms:deprecated/>").unwrap(), "(no reason is given)");
        assert_eq!(with("<slterms:deprecated>a<!-- -->b</slterms:deprecated>").unwrap(), "ab");
        let long =
            format!("<slterms:deprecated>\n\u{202e}{}</slterms:deprecated>", "x".repeat(999));
        assert_eq!(with(&long).unwrap(), format!("\\u{{202e}}{}", "x".repeat(299)));
    }
}
