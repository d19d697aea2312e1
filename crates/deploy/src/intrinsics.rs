//! The template functions: `Fn::Join`, `Fn::Sub` and their kin.
//!
//! Source: CloudFormation Template Reference, "Intrinsic functions".

mod nearest;
mod network;
mod text;

use base64::Engine as _;

use self::nearest::nearest;

use crate::node::{Member, Node, Position, Value};
use crate::resolver::{Failed, Key, Resolved, Resolver, What};

const NAMES: &str = "Ref, Fn::GetAtt, Fn::Join, Fn::Sub, Fn::Select, Fn::Split, Fn::If, Fn::FindInMap, \
                     Fn::ImportValue, Fn::GetStackOutput, Fn::Base64, Fn::Cidr, Fn::GetAZs, \
                     Fn::ToJsonString, Fn::Length, Fn::And, Fn::Or, Fn::Not, Fn::Equals";

impl Resolver<'_> {
    /// Calls one function.
    pub(crate) fn call(&mut self, unit: usize, at: Position, member: &Member) -> Resolved {
        let argument = &member.node;
        match member.name.as_str() {
            "Ref" => self.call_ref(unit, argument),
            "Fn::GetAtt" => self.call_get_att(unit, argument),
            "Fn::Join" => self.call_join(unit, at, argument),
            "Fn::Sub" => self.call_sub(unit, argument),
            "Fn::Select" => self.call_select(unit, argument),
            "Fn::Split" => self.call_split(unit, at, argument),
            "Fn::If" => self.call_if(unit, argument),
            "Fn::FindInMap" => self.call_find_in_map(unit, argument),
            "Fn::ImportValue" => self.call_import(unit, argument),
            "Fn::GetStackOutput" => self.call_stack_output(unit, argument),
            "Fn::Base64" => {
                let text = self.resolve_text(unit, argument)?;
                Ok(Some(Node::text(at, base64::engine::general_purpose::STANDARD.encode(text))))
            }
            "Fn::Cidr" => self.call_cidr(unit, at, argument),
            "Fn::GetAZs" => self.call_zones(unit, at, argument),
            "Fn::ToJsonString" => {
                let value = self.resolve(unit, argument)?;
                let json = value.map_or(serde_json::Value::Null, |node| node.to_json());
                Ok(Some(Node::text(at, json.to_string())))
            }
            "Fn::Length" => {
                let items = self.list(unit, argument)?;
                Ok(Some(Node { at, value: Value::Number(items.len().to_string()) }))
            }
            "Fn::And" | "Fn::Or" | "Fn::Not" | "Fn::Equals" => {
                let holds = self.test_call(unit, member)?;
                Ok(Some(Node { at, value: Value::Bool(holds) }))
            }
            "Fn::Transform" => self.fail_with(
                member.at,
                "Fn::Transform runs a macro in the cloud; it is not known here",
                "write out what the macro would produce",
            ),
            other => {
                self.fail_with(member.at, format!("{other} is not a function of templates"), NAMES)
            }
        }
    }

    fn call_ref(&mut self, unit: usize, argument: &Node) -> Resolved {
        match argument.as_text() {
            Some(name) => self.named(unit, argument.at, name),
            // Source: as above, "AWS::LanguageExtensions": functions may give the name.
            None if argument.as_map().is_some() => {
                let name = self.resolve_text(unit, argument)?;
                self.named(unit, argument.at, &name)
            }
            None => self.fail(argument.at, format!("Ref takes a name, not {}", argument.kind())),
        }
    }

    /// What a name means: pseudo parameter, parameter or resource.
    fn named(&mut self, unit: usize, at: Position, name: &str) -> Resolved {
        if name == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(pseudo) = name.strip_prefix("AWS::") {
            return self.pseudo(unit, at, pseudo).map(Some);
        }
        let template = &self.unit(unit).template;
        if template.parameters.contains_key(name) {
            return self.parameter(unit, at, name);
        }
        if template.resources.contains_key(name) {
            return self.reference(unit, at, name).map(|text| Some(Node::text(at, text)));
        }
        let known = template.parameters.keys().chain(template.resources.keys());
        let message = format!("no resource or parameter is named {name}");
        match nearest(name, known) {
            Some(near) => {
                let hint = format!("did you mean {near}?");
                self.fail_with(at, message, hint)
            }
            None => self.fail(at, message),
        }
    }

    fn pseudo(&mut self, unit: usize, at: Position, name: &str) -> Result<Node, Failed> {
        let scope = &self.unit(unit).scope;
        Ok(Node::text(
            at,
            match name {
                "AccountId" => scope.account.clone(),
                "Region" => scope.region.clone(),
                "Partition" => scope.partition().to_owned(),
                "URLSuffix" => scope.url_suffix().to_owned(),
                "StackName" => scope.stack.clone(),
                "StackId" => scope.stack_id(),
                "NotificationARNs" => return Ok(Node { at, value: Value::List(Vec::new()) }),
                _ => return self.fail(at, format!("AWS::{name} is not a pseudo parameter")),
            },
        ))
    }

    fn call_get_att(&mut self, unit: usize, argument: &Node) -> Resolved {
        let (id, attribute) = match &argument.value {
            Value::Text(text) => match text.split_once('.') {
                Some((id, attribute)) => (id.to_owned(), attribute.to_owned()),
                None => {
                    return self
                        .fail(argument.at, "Fn::GetAtt takes [\"LogicalId\", \"Attribute\"]");
                }
            },
            Value::List(items) => match items.as_slice() {
                [id, attributes @ ..] if !attributes.is_empty() => {
                    let id = self.resolve_text(unit, id)?;
                    let mut parts = Vec::new();
                    for attribute in attributes {
                        parts.push(self.resolve_text(unit, attribute)?);
                    }
                    (id, parts.join("."))
                }
                _ => {
                    return self
                        .fail(argument.at, "Fn::GetAtt takes [\"LogicalId\", \"Attribute\"]");
                }
            },
            _ => return self.fail(argument.at, "Fn::GetAtt takes [\"LogicalId\", \"Attribute\"]"),
        };
        self.get_att(unit, argument.at, &id, &attribute)
    }

    fn get_att(&mut self, unit: usize, at: Position, id: &str, attribute: &str) -> Resolved {
        let resources = &self.unit(unit).template.resources;
        if resources.contains_key(id) {
            return self.attribute(unit, at, id, attribute);
        }
        let message = format!("no resource is named {id}");
        match nearest(id, resources.keys()) {
            Some(near) => {
                let hint = format!("did you mean {near}?");
                self.fail_with(at, message, hint)
            }
            None => self.fail(at, message),
        }
    }

    /// Resolves to a list.
    fn list(&mut self, unit: usize, node: &Node) -> Result<Vec<Node>, Failed> {
        match self.resolve(unit, node)? {
            Some(Node { value: Value::List(items), .. }) => Ok(items),
            Some(other) => {
                self.fail(node.at, format!("a list is expected here, not {}", other.kind()))
            }
            None => self.fail(node.at, "a list is expected here, not AWS::NoValue"),
        }
    }

    /// The arguments of a function that takes a fixed number of them.
    pub(crate) fn arguments<'a, const N: usize>(
        &mut self,
        node: &'a Node,
        shape: &str,
    ) -> Result<&'a [Node; N], Failed> {
        match node.as_list().and_then(|items| items.try_into().ok()) {
            Some(items) => Ok(items),
            None => self.fail(node.at, format!("{shape} is expected here")),
        }
    }

    fn call_if(&mut self, unit: usize, argument: &Node) -> Resolved {
        let [condition, yes, no] =
            self.arguments::<3>(argument, "Fn::If [condition, then, otherwise]")?;
        let holds = match condition.as_text() {
            Some(name) => self.condition(unit, condition.at, name)?,
            None => self.test(unit, condition)?,
        };
        self.resolve(unit, if holds { yes } else { no })
    }

    fn call_find_in_map(&mut self, unit: usize, argument: &Node) -> Resolved {
        let (name, first, second, default) = match argument.as_list() {
            Some([name, first, second]) => (name, first, second, None),
            Some([name, first, second, options]) => {
                (name, first, second, options.get("DefaultValue"))
            }
            _ => return self.fail(argument.at, "Fn::FindInMap [map, key, key] is expected here"),
        };
        let map_name = self.resolve_text(unit, name)?;
        let first_key = self.resolve_text(unit, first)?;
        let second_key = self.resolve_text(unit, second)?;
        let map = self.unit(unit).template.mappings.get(&map_name);
        let found = map.and_then(|map| map.get(&first_key)).and_then(|map| map.get(&second_key));
        match (found, default) {
            (Some(node), _) => Ok(Some(node.clone())),
            (None, Some(default)) => self.resolve(unit, default),
            (None, None) if map.is_none() => {
                self.fail(name.at, format!("no mapping is named {map_name}"))
            }
            (None, None) => self.fail(
                argument.at,
                format!("the mapping {map_name} has no value for {first_key} and {second_key}"),
            ),
        }
    }

    fn call_import(&mut self, unit: usize, argument: &Node) -> Resolved {
        let wanted = self.resolve_text(unit, argument)?;
        self.imports.entry(unit).or_default().insert(wanted.clone());
        let here = &self.unit(unit).scope;
        for (index, other) in self.world.units.iter().enumerate() {
            if other.scope.account != here.account || other.scope.region != here.region {
                continue;
            }
            for (key, output) in &other.template.outputs {
                if self.is_active(index, output)?
                    && self.export(index, key).as_ref() == Some(&wanted)
                {
                    return self.output(index, argument.at, key);
                }
            }
        }
        if let Some(value) = self.world.exports.get(&wanted) {
            return Ok(Some(Node::text(argument.at, value.clone())));
        }
        self.fail_with(
            argument.at,
            format!("no stack exports {wanted}"),
            "load the stack that exports it together with this one",
        )
    }

    /// The name by which other stacks import an output.
    pub(crate) fn export(&mut self, unit: usize, key: &str) -> Option<String> {
        let output = self.unit(unit).template.outputs.get(key)?;
        let name = output.get("Export")?.get("Name")?;
        let memory = Key { unit, what: What::Export, name: key.to_owned() };
        let exported = self.once(memory, name.at, |this| {
            this.within(unit, key, "Export", |this| this.resolve(unit, name))
        });
        exported.ok()??.scalar()
    }

    fn call_stack_output(&mut self, unit: usize, argument: &Node) -> Resolved {
        let mut field = |name: &str| match argument.get(name) {
            Some(node) => self.resolve_text(unit, node),
            None => self.fail(argument.at, format!("Fn::GetStackOutput needs {name}")),
        };
        let (stack, output) = (field("StackName")?, field("OutputName")?);
        let found = self.world.units.iter().position(|other| other.scope.stack == stack);
        match found {
            Some(index) => self.output(index, argument.at, &output),
            None => {
                self.fail(argument.at, format!("there is no stack {stack} to read {output} from"))
            }
        }
    }

    /// An output of a stack.
    pub(crate) fn output(&mut self, unit: usize, at: Position, key: &str) -> Resolved {
        let Some(node) = self.unit(unit).template.outputs.get(key) else {
            let stack = &self.unit(unit).scope.stack;
            return self.fail(at, format!("the stack {stack} has no output {key}"));
        };
        let memory = Key { unit, what: What::Output, name: key.to_owned() };
        self.once(memory, at, |this| {
            this.within(unit, key, "Value", |this| match node.get("Value") {
                Some(value) => this.resolve(unit, value),
                None => this.fail(node.at, "this output has no `Value`"),
            })
        })
    }
}
