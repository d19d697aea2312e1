//! The report: `docs/api-coverage.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use stillwire_testkit::tools;

use crate::Result;
use crate::assertions::Assertion;
use crate::suite::Book;

/// The cases that failed, by family and name.
pub(crate) type Failed = BTreeSet<(&'static str, String)>;

const HEAD: &str = "\
# API coverage

What Amazon API Gateway WebSocket APIs do, sentence by sentence, and the cases that show that Stillwire does it: each
drives the real program, with real functions, clients and SDKs. `cargo xtask conformance` plays them and writes this page;
[its folder](../conformance/README.md) says how a case is written. Below each sentence stands where it is known from.

**must**: documented by AWS, or observed. **should**: believed, from what REST APIs do or users tell. **choice**: AWS is
silent, or promises less.
";

fn file() -> PathBuf {
    tools::workspace().join("docs/api-coverage.md")
}

/// Writes the page.
pub(crate) fn write(book: &Book, failed: &Failed) -> Result<()> {
    std::fs::write(file(), text(book, failed)).map_err(|error| error.to_string())
}

/// Whether the page is the one that these assertions and cases make when they pass.
pub(crate) fn check(book: &Book) -> Result<()> {
    let found = std::fs::read_to_string(file()).unwrap_or_default();
    if found == text(book, &Failed::new()) {
        return Ok(());
    }
    Err("docs/api-coverage.md is not what the cases say; `cargo xtask conformance` writes it"
        .to_owned())
}

fn text(book: &Book, failed: &Failed) -> String {
    let mut page = HEAD.to_owned();
    let assertions = || book.families.iter().flat_map(|family| &family.assertions);
    let lacking = assertions().filter(|assertion| assertion.missing.is_some()).count();
    let lacking = match lacking {
        0 => String::new(),
        some => format!("; {some} not there yet, or not all of it"),
    };
    // Writing to a text cannot fail.
    let _infallible = writeln!(
        page,
        "\n{} assertions, {} cases{lacking}.",
        assertions().count(),
        book.cases.len()
    );
    for family in &book.families {
        let head = "| | level | what holds | shown by | result |\n|---|---|---|---|---|";
        let _infallible = writeln!(page, "\n## {}\n\n{head}", family.title);
        for assertion in &family.assertions {
            page.push_str(&row(assertion, book, failed));
        }
    }
    page
}

fn row(assertion: &Assertion, book: &Book, failed: &Failed) -> String {
    let Assertion { id, level, says, source, missing } = assertion;
    let proving = book.cases.iter().filter(|case| case.proves.contains(id));
    let mut fails = false;
    let cases: Vec<String> = proving
        .map(|case| {
            fails |= failed.contains(&(case.family, case.name.clone()));
            format!("[{}](../conformance/cases/{}.toml)", with_code(&case.name), case.family)
        })
        .collect();
    let result = match missing {
        _ if fails => "**fails**".to_owned(),
        Some(why) => format!("not yet: {why}"),
        None => "passes".to_owned(),
    };
    let says = says.replace('|', "\\|");
    let (level, source, cases) = (level.name(), with_code(source), cases.join("<br>"));
    // Other pages lead here.
    let anchor = format!("<a id=\"{}\"></a>", id.to_lowercase());
    format!("| {anchor}{id} | {level} | {says}<br>*{source}* | {cases} | {result} |\n")
}

/// A text whose words with a dollar are marked as code: they are names, and two of them would be taken for a formula.
fn with_code(text: &str) -> String {
    let mark = |word: &str| {
        let bare = word.trim_end_matches([',', ';', ':', '"']);
        let (name, rest) = word.split_at(bare.len());
        if bare.contains('$') { format!("`{name}`{rest}") } else { word.to_owned() }
    };
    if text.contains('`') {
        return text.to_owned();
    }
    text.split(' ').map(mark).collect::<Vec<_>>().join(" ")
}
