//! Documents that differ from a good one by a few random changes of its elements and attributes.

use roxmltree::{Document, Node};

/// A small generator: the same numbers for the same seed, everywhere (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn of<'a>(&mut self, values: &[&'a str]) -> &'a str {
        values[self.below(values.len())]
    }
}

const TEXTS: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "+5",
    "007",
    "65536",
    "255",
    "256",
    "abc",
    " 12\n",
    "a b",
    "Resource",
    "é",
    "2026-11-23T10:00:00Z",
    "2026-02-30T00:00:00Z",
    "2026-11-23",
    "SHA-1",
    "MD5",
    "SHA-256",
    "a@b",
    "1f1f",
    "FF",
    "http://h/%zz",
    "x&amp;y",
    "&lt;a/>",
    "&#13;",
    "base",
    "1.5",
];
const ATTRIBUTES: &[&str] = &[
    " rdf:parseType=\"Resource\"",
    " rdf:parseType=\"Literal\"",
    " rdf:parseType=\"\"",
    " parseType=\"Resource\"",
    " xml:lang=\"en\"",
    " xml:lang=\"\"",
    " xml:space=\"preserve\"",
    " xml:space=\"keep\"",
    " xml:base=\"http://h/\"",
    " rdf:resource=\"urn:x\"",
    " rdf:datatype=\"urn:x\"",
    " rdf:about=\"urn:x\"",
    " dcterms:title=\"x\"",
    " x=\"y\"",
    " rdf:ID=\"i\"",
    " rdf:nodeID=\"n\"",
];
const ELEMENTS: &[&str] = &[
    "<dcterms:title/>",
    "<dcterms:created>x</dcterms:created>",
    "<slterms:icmp>999</slterms:icmp>",
    "<slterms:os>x</slterms:os>",
    "<rdf:type rdf:resource=\"urn:x\"/>",
    "<dcterms:any/>",
    "<dc:any xmlns:dc=\"http://purl.org/dc/elements/1.1/\"/>",
    "<rdf:li>x</rdf:li>",
    "<dc:title xmlns:dc=\"http://purl.org/dc/elements/1.1/\">x</dc:title>",
    "<x:a xmlns:x=\"urn:x\" rdf:parseType=\"Resource\"><slreq:bytes>x</slreq:bytes></x:a>",
    "<x:a xmlns:x=\"urn:x\"><x:b x:c=\"d\"/></x:a>",
    "<a xmlns=\"\"/>",
    "<!-- c -->",
    "<?p i?>",
    "<![CDATA[x]]>",
    "text",
    "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"/>",
    "<slreq:endorser rdf:parseType=\"Resource\"/>",
    "<slterms:location>a[b</slterms:location>",
    "<rdf:RDF/>",
    "<rdf:Description/>",
];
const PREFIXES: &[&str] = &["slterms:", "slreq:", "dcterms:", "rdf:"];

/// `count` documents made of a good one, each by one to three changes.
pub fn of(good: &str, seed: u64, count: usize) -> Vec<String> {
    let mut random = Random(seed);
    let mut mutants = Vec::new();
    while mutants.len() < count {
        let mut text = good.to_owned();
        for _ in 0..=random.below(3) {
            let changed = change(&text, &mut random);
            // Changes that break the form are the business of the parser's tests.
            if Document::parse(&changed).is_ok() {
                text = changed;
            }
        }
        if text != good {
            mutants.push(text);
        }
    }
    mutants
}

fn change(text: &str, random: &mut Random) -> String {
    let document = Document::parse(text).unwrap();
    let elements: Vec<Node> = document.descendants().filter(Node::is_element).collect();
    let node = elements[random.below(elements.len())];
    let other = elements[random.below(elements.len())];
    let put = |range: std::ops::Range<usize>, by: &str| {
        format!("{}{by}{}", &text[..range.start], &text[range.end..])
    };
    let own = &text[node.range()];
    let tag_end = node.range().start + own.find([' ', '>', '/']).unwrap();
    match random.below(10) {
        0 => put(node.range(), ""),
        1 => put(node.range(), &own.repeat(2)),
        2 => put(node.range(), &text[other.range()]),
        3 | 4 => match node.first_child().filter(|child| child.is_text()) {
            Some(child) => put(child.range(), random.of(TEXTS)),
            None => put(node.range(), random.of(ELEMENTS)),
        },
        5 => put(tag_end..tag_end, random.of(ATTRIBUTES)),
        6 => match node.attributes().next() {
            Some(attribute) => put(attribute.range(), ""),
            None => put(tag_end..tag_end, random.of(ATTRIBUTES)),
        },
        7 => {
            let prefix = random.of(PREFIXES);
            let renamed = own.replace(random.of(PREFIXES), prefix);
            put(node.range(), &renamed)
        }
        8 => put(node.range().end..node.range().end, random.of(ELEMENTS)),
        _ => {
            let inside = own.find('>').map(|at| node.range().start + at + 1).unwrap();
            put(inside..inside, random.of(ELEMENTS))
        }
    }
}

/// The lines that differ.
pub fn difference(good: &str, text: &str) -> String {
    let known: Vec<&str> = good.lines().collect();
    let lines: Vec<&str> = text.lines().collect();
    let new = lines.iter().filter(|line| !known.contains(line)).map(|line| format!("+{line}"));
    let gone = known.iter().filter(|line| !lines.contains(line)).map(|line| format!("-{line}"));
    gone.chain(new).collect::<Vec<_>>().join("\n")
}
