//! Functions that make texts and take them apart: `Fn::Join`, `Fn::Split`, `Fn::Select`, `Fn::Sub`.

use crate::node::{Node, Position, Value};
use crate::resolver::{Failed, Resolved, Resolver};

impl Resolver<'_> {
    pub(super) fn call_join(&mut self, unit: usize, at: Position, argument: &Node) -> Resolved {
        let [separator, items] = self.arguments::<2>(argument, "Fn::Join [separator, list]")?;
        let separator = self.resolve_text(unit, separator)?;
        let mut texts = Vec::new();
        for item in self.list(unit, items)? {
            let Some(text) = item.scalar() else {
                let message = format!("Fn::Join joins texts, not {}", item.kind());
                return self.fail(item.at, message);
            };
            texts.push(text);
        }
        // A dynamic reference may only be complete once it is joined.
        Ok(Some(self.finished_text(at, &texts.join(&separator))))
    }

    pub(super) fn call_split(&mut self, unit: usize, at: Position, argument: &Node) -> Resolved {
        let [separator, text] = self.arguments::<2>(argument, "Fn::Split [separator, text]")?;
        let separator_text = self.resolve_text(unit, separator)?;
        if separator_text.is_empty() {
            return self.fail(separator.at, "the separator of Fn::Split is not empty");
        }
        let text = self.resolve_text(unit, text)?;
        let pieces = text.split(&separator_text).map(|piece| Node::text(at, piece)).collect();
        Ok(Some(Node { at, value: Value::List(pieces) }))
    }

    pub(super) fn call_select(&mut self, unit: usize, argument: &Node) -> Resolved {
        let [index, items] = self.arguments::<2>(argument, "Fn::Select [index, list]")?;
        let text = self.resolve_text(unit, index)?;
        let items = self.list(unit, items)?;
        let count = items.len();
        match text.parse::<usize>().ok().and_then(|number| items.into_iter().nth(number)) {
            Some(item) => Ok(Some(item)),
            None => self.fail(
                index.at,
                format!("Fn::Select asks for element {text} of {count}, counted from 0"),
            ),
        }
    }

    pub(super) fn call_sub(&mut self, unit: usize, argument: &Node) -> Resolved {
        let (node, variables) = match &argument.value {
            Value::List(items) => match items.as_slice() {
                [node, variables] => (node, Some(variables)),
                _ => return self.fail(argument.at, "Fn::Sub [text, variables] is expected here"),
            },
            _ => (argument, None),
        };
        let Some(text) = node.as_text() else {
            return self.fail(node.at, format!("Fn::Sub takes a text, not {}", node.kind()));
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = from.split_once('}') else {
                return self.fail(node.at, "`${` without `}`");
            };
            match name.strip_prefix('!') {
                Some(literal) => out.extend(["${", literal, "}"]),
                None => out.push_str(&self.sub_variable(unit, node.at, name.trim(), variables)?),
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(Some(self.finished_text(argument.at, &out)))
    }

    fn sub_variable(
        &mut self,
        unit: usize,
        at: Position,
        name: &str,
        variables: Option<&Node>,
    ) -> Result<String, Failed> {
        if name.starts_with("Token[") {
            return self.fail_with(
                at,
                format!("${{{name}}} is a value the CDK never resolved"),
                "use the token itself, not a text made of it before synthesis",
            );
        }
        if let Some(node) = variables.and_then(|variables| variables.get(name)) {
            return self.resolve_text(unit, node);
        }
        let value = match name.split_once('.') {
            Some((id, attribute)) if !name.starts_with("AWS::") => {
                self.get_att(unit, at, id, attribute)?
            }
            _ => self.named(unit, at, name)?,
        };
        match value.as_ref().map(|node| (node, node.scalar())) {
            Some((_, Some(text))) => Ok(text),
            Some((node, None)) => {
                self.fail(at, format!("${{{name}}} is {}, not a text", node.kind()))
            }
            None => self.fail(at, format!("${{{name}}} has no text")),
        }
    }
}
