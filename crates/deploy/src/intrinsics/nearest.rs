//! "Did you mean …?"

/// The known name that is most likely meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|other| (distance(name, other), other))
        .filter(|(steps, _)| *steps <= 2.max(name.len() / 5))
        .min()
        .map(|(_, other)| other.as_str())
}

/// How many insertions, deletions and replacements lead from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let other: Vec<char> = b.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, left) in a.chars().take(256).enumerate() {
        let mut next = vec![line + 1];
        for ((right, diagonal), above) in other.iter().zip(&row).zip(row.iter().skip(1)) {
            let before = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(left != *right);
            next.push(replaced.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_the_name_and_another_word_does_not() {
        let known = ["Table".to_owned(), "WebsocketFunctionD83093D2".to_owned()];
        assert_eq!(nearest("Tabel", known.iter()), Some("Table"));
        assert_eq!(nearest("WebsocketFunction", known.iter()), None);
        assert_eq!(nearest("WebsocketFunctonD83093D2", known.iter()), Some(known[1].as_str()));
        assert_eq!(nearest("Queue", known.iter()), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
