//! The `Policies` of a function: documents, ARNs, names of AWS's own policies, and SAM's templates of policies.

use serde_json::json;

use super::policy_templates::{OTHERS, PolicyTemplate, written_out};
use super::{Sam, Transform};
use crate::node::{Member, Node, Position};

/// What one entry of `Policies` is.
enum Policy {
    /// The ARN of a managed policy.
    Managed(Node),
    Document(Node),
    Nothing,
}

impl Transform<'_> {
    /// The ARNs of managed policies, and the policies that the role `role` has itself.
    pub(super) fn policies(&mut self, sam: &Sam<'_>, role: &str) -> (Vec<Node>, Vec<Node>) {
        let (mut arns, mut policies) = (Vec::new(), Vec::new());
        let Some(node) = sam.get("Policies") else { return (arns, policies) };
        let entries = node.as_list().unwrap_or_else(|| std::slice::from_ref(node));
        for (index, entry) in entries.iter().enumerate() {
            let name = format!("{role}Policy{index}");
            match entry.as_call() {
                Some(member) if member.name == "Fn::If" => {
                    let (managed, choice) = self.either(sam, member, &name);
                    if managed {
                        arns.push(choice);
                    } else {
                        policies.push(choice);
                    }
                    continue;
                }
                _ => {}
            }
            match self.policy(sam, entry) {
                Policy::Managed(arn) => arns.push(arn),
                Policy::Document(document) => policies.push(named(&name, document)),
                Policy::Nothing => {}
            }
        }
        (arns, policies)
    }

    /// One policy or another, as a condition says; and whether they are managed ones.
    fn either(&mut self, sam: &Sam<'_>, call: &Member, name: &str) -> (bool, Node) {
        let mut managed = false;
        let mut items = call.node.as_list().unwrap_or_default().to_vec();
        for item in items.iter_mut().skip(1) {
            match self.policy(sam, item) {
                Policy::Managed(arn) => {
                    managed |= arn.get("Ref").and_then(Node::as_text) != Some("AWS::NoValue");
                    *item = arn;
                }
                Policy::Document(document) => *item = named(name, document),
                Policy::Nothing => {}
            }
        }
        let items = Node::list(call.node.at, items);
        (managed, Node::map(call.at, vec![("Fn::If".to_owned(), items)]))
    }

    fn policy(&mut self, sam: &Sam<'_>, entry: &Node) -> Policy {
        if let Some(text) = entry.as_text() {
            return Policy::Managed(if text.starts_with("arn:") {
                entry.clone()
            } else {
                managed(entry.at, &known_path(text))
            });
        }
        if entry.as_call().is_some() {
            return Policy::Managed(entry.clone());
        }
        if entry.get("Statement").is_some() {
            return Policy::Document(entry.clone());
        }
        let Some(Member { name, at, node }) = entry.only_member() else {
            let message = "a policy is a document, an ARN, a name or a template of SAM's";
            self.fail(sam, "Policies", entry.at, message);
            return Policy::Nothing;
        };
        match written_out(name) {
            Some(template) => self.template(sam, name, *at, node, &template),
            None if OTHERS.contains(&name.as_str()) => Policy::Nothing,
            None => {
                let message = format!("{name} is not a policy template of SAM's");
                self.fail(sam, "Policies", *at, message);
                Policy::Nothing
            }
        }
    }

    fn template(
        &mut self,
        sam: &Sam<'_>,
        name: &str,
        at: Position,
        values: &Node,
        template: &PolicyTemplate,
    ) -> Policy {
        for parameter in template.parameters {
            if values.get(parameter).is_none() {
                let message = format!("{name} needs its parameter {parameter}");
                self.fail(sam, "Policies", at, message);
                return Policy::Nothing;
            }
        }
        let resource = |text: &&str| {
            let text = text.replace('…', "${AWS::Region}:${AWS::AccountId}");
            let variables = Node::map(
                at,
                template
                    .parameters
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), values.get(name)?.clone())))
                    .collect(),
            );
            let text = Node::text(at, format!("arn:${{AWS::Partition}}:{text}"));
            Node::map(at, vec![("Fn::Sub".to_owned(), Node::list(at, vec![text, variables]))])
        };
        let statements = template.statements.iter().map(|(actions, resources)| {
            let resources = match resources {
                [one] => resource(one),
                several => Node::list(at, several.iter().map(resource).collect()),
            };
            Node::map(
                at,
                vec![
                    ("Effect".to_owned(), Node::text(at, "Allow")),
                    ("Action".to_owned(), Node::from_json(at, &json!(actions))),
                    ("Resource".to_owned(), resources),
                ],
            )
        });
        let statements = Node::list(at, statements.collect());
        Policy::Document(Node::map(at, vec![("Statement".to_owned(), statements)]))
    }
}

fn named(name: &str, document: Node) -> Node {
    let at = document.at;
    Node::map(
        at,
        vec![
            ("PolicyName".to_owned(), Node::text(at, name)),
            ("PolicyDocument".to_owned(), document),
        ],
    )
}

/// Where a policy of AWS's own is, which is given by its name alone.
fn known_path(name: &str) -> String {
    let is_role =
        name.starts_with("AWSLambda") && name.ends_with("Role") && name != "AWSLambdaFullAccess";
    if is_role { format!("service-role/{name}") } else { name.to_owned() }
}

/// The ARN of a policy of AWS's own.
pub(super) fn managed(at: Position, path: &str) -> Node {
    let text = format!("arn:${{AWS::Partition}}:iam::aws:policy/{path}");
    Node::map(at, vec![("Fn::Sub".to_owned(), Node::text(at, text))])
}
