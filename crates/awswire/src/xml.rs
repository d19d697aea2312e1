//! XML as the services write it: elements and texts, nothing else.

use std::fmt::Write as _;

/// XML that grows from its beginning to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Xml(String);

impl Xml {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What there is so far.
    pub fn into_text(self) -> String {
        self.0
    }

    /// Elements that were written apart.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// A document: its first line and one element.
    pub fn document(root: &str, namespace: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
        // Writing to a String cannot fail, here and below.
        write!(xml.0, "<{root} xmlns=\"{namespace}\">").ok();
        content(&mut xml);
        write!(xml.0, "</{root}>").ok();
        xml.0
    }

    /// An element with elements in it. Names are the program's own.
    pub fn node(&mut self, name: &str, content: impl FnOnce(&mut Self)) -> &mut Self {
        write!(self.0, "<{name}>").ok();
        content(self);
        write!(self.0, "</{name}>").ok();
        self
    }

    /// An element with a text in it, whatever the text is.
    pub fn text(&mut self, name: &str, text: impl AsRef<str>) -> &mut Self {
        write!(self.0, "<{name}>").ok();
        escape(text.as_ref(), &mut self.0);
        write!(self.0, "</{name}>").ok();
        self
    }

    /// The same, where there is a text.
    pub fn maybe(&mut self, name: &str, text: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(text) = text {
            self.text(name, text);
        }
        self
    }

    /// An element that says yes or no.
    pub fn flag(&mut self, name: &str, is: bool) -> &mut Self {
        self.text(name, if is { "true" } else { "false" })
    }

    /// An element with a `member` for each of these.
    pub fn members<T>(
        &mut self,
        name: &str,
        all: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T),
    ) -> &mut Self {
        self.node(name, |xml| {
            for one in all {
                xml.node("member", |xml| write(xml, one));
            }
        })
    }

    /// An element with a `member` for each of these texts.
    pub fn texts<T: AsRef<str>>(
        &mut self,
        name: &str,
        all: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.node(name, |xml| {
            for one in all {
                xml.text("member", one);
            }
        })
    }
}

/// Source: XML 1.0, sections 2.2 (characters), 2.4 and 2.11 (a carriage return would be read as a line end).
fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\r' => into.push_str("&#13;"),
            '\t' | '\n' => into.push(character),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => into.push('\u{fffd}'),
            _ => into.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_an_element() {
        let text = Xml::document("R", "urn:x", |xml| {
            xml.text("A", "<b>&\"\r\n\u{1}").maybe("B", None::<&str>).flag("C", true);
            xml.texts("D", ["1", "2"]).members("E", ["3"], |xml, one| {
                xml.text("F", one);
            });
        });
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\">\
            <A>&lt;b&gt;&amp;&quot;&#13;\n\u{fffd}</A><C>true</C>\
            <D><member>1</member><member>2</member></D><E><member><F>3</F></member></E></R>";
        assert_eq!(text, expected);
    }
}
