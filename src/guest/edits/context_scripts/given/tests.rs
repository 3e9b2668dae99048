use super::*;

#[test]
fn an_assignment_ends_where_the_shell_ends_it() {
    for (text, len) in [
        ("A=1\nB=2", 4),
        ("A='1\n2'\nB", 8),
        ("A=\"1\n\\\"\n\"\nB", 10),
        ("A=a\\\nb\nB", 7),
        ("A=a # 'x\nB", 9),
        ("A=a#'x\n'\nB", 9),
        ("A='open\nB", 9),
        ("A=", 2),
    ] {
        assert_eq!(assignment_len(text), len, "{text}");
        let all: String = pieces(text).map(|(_, piece)| piece).collect();
        assert_eq!(all, text);
    }
}
