//! Writes JSON objects straight into bytes: events are built once per message, so no tree is.

use bytes::Bytes;

/// A JSON object under construction. Names must not repeat; the caller sees to it.
pub(crate) struct Object {
    out: Vec<u8>,
    empty: bool,
}

impl Object {
    /// An empty object.
    pub(crate) fn begin() -> Self {
        Self::with_capacity(1024)
    }

    /// An empty object with room for `bytes`.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Self { out, empty: true }
    }

    /// A member that is a string.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.string(value);
    }

    /// A member that is an array of strings.
    pub(crate) fn texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        self.name(name);
        self.out.push(b'[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.string(value);
        }
        self.out.push(b']');
    }

    /// A member whose value is JSON text already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A member that is an object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Self)) {
        self.name(name);
        self.out.push(b'{');
        self.empty = true;
        fill(self);
        self.out.push(b'}');
        self.empty = false;
    }

    /// The JSON text.
    pub(crate) fn finish(mut self) -> Bytes {
        self.out.push(b'}');
        self.out.into()
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.string(name);
        self.out.push(b':');
    }

    fn string(&mut self, value: &str) {
        // Neither a string nor a Vec gives serde_json a reason to fail.
        let _infallible = serde_json::to_writer(&mut self.out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_separated_and_strings_escaped() {
        let mut object = Object::begin();
        object.object("empty", |_| {});
        object.object("outer", |inner| {
            inner.text("quote", "\"\n");
            inner.raw("number", "1");
        });
        object.texts("list", ["a", "b"]);
        let json = br#"{"empty":{},"outer":{"quote":"\"\n","number":1},"list":["a","b"]}"#;
        assert_eq!(object.finish(), json.as_slice());
    }
}
