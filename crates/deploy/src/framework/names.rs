//! Logical ids as the framework makes them.

/// A function's key: a capital first letter, `Dash` and `Underscore` for what ids cannot have.
pub(super) fn normalized(key: &str) -> String {
    let mut letters = key.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    letters.fold(written(&first), |name, letter| name + &written(&letter.to_string()))
}

/// A route's key: `S` for `$`, words for other characters.
pub(super) fn route(key: &str) -> String {
    key.chars().map(|letter| written(&letter.to_string())).collect()
}

/// Only letters and digits.
pub(super) fn plain(text: &str) -> String {
    let text: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn written(letter: &str) -> String {
    match letter {
        "$" => "S".to_owned(),
        "-" => "Dash".to_owned(),
        "_" => "Underscore".to_owned(),
        "/" => "Slash".to_owned(),
        "." => "Period".to_owned(),
        letter if letter.chars().all(|c| c.is_ascii_alphanumeric()) => letter.to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_letters_and_digits_only() {
        assert_eq!(normalized("send-message_2"), "SendDashmessageUnderscore2");
        assert_eq!(route("$connect"), "Sconnect");
        assert_eq!(route("chat/send-all"), "chatSlashsendDashall");
        assert_eq!(plain("arn:table/my-table"), "Arntablemytable");
    }
}
