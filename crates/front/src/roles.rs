//! The roles of functions, and whether they may do to tables what they ask for.
//!
//! Differs: only policies of roles are evaluated, as `policy` does; neither those of tables nor permissions boundaries.
//! Callers that are no function, and functions whose role the app does not declare, may do everything.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;
use stillwire_model::{Function, Role};
use stillwire_policy::{Policy, Verdict, judge};

use crate::table_access::{Access, Place, needed};
use crate::table_facts::{self, Facts, LEADING_KEYS};

/// What roles may do. Clones share it.
#[derive(Debug, Clone)]
pub struct Roles(Arc<RwLock<Policies>>);

/// The policies of roles, by their ARNs.
type Policies = BTreeMap<Arc<str>, Arc<[Policy]>>;

/// The partition keys of tables and indexes, by their ARNs.
pub(crate) type PartitionKeys = BTreeMap<String, String>;

/// A role with a policy that is none.
#[derive(Debug, thiserror::Error)]
#[error("a policy of the role {role} is not a policy document: {source}")]
pub struct InvalidRole {
    role: Arc<str>,
    source: serde_json::Error,
}

impl Roles {
    /// Reads the policies of these roles.
    ///
    /// # Errors
    /// When one of them is no policy document.
    pub fn new<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Result<Self, InvalidRole> {
        Self::read(roles).map(|policies| Self(Arc::new(RwLock::new(policies))))
    }

    /// The conditions in a role's policies that are not evaluated: a statement that has one allows nothing, and denies what it
    /// names.
    pub fn not_evaluated(role: &Role) -> Vec<String> {
        let policies = role.policies.iter().cloned().map(serde_json::from_value::<Policy>);
        policies
            .flatten()
            .flat_map(|of| of.not_evaluated("dynamodb", table_facts::is_told))
            .collect()
    }

    /// Takes these roles in place of those before.
    ///
    /// # Errors
    /// When one of them is no policy document: then nothing is changed.
    pub fn replace<'a>(
        &self,
        roles: impl IntoIterator<Item = &'a Role>,
    ) -> Result<(), InvalidRole> {
        let policies = Self::read(roles)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policies;
        Ok(())
    }

    fn read<'a>(roles: impl IntoIterator<Item = &'a Role>) -> Result<Policies, InvalidRole> {
        let read = |role: &Role| {
            let policies = role.policies.iter().cloned().map(serde_json::from_value);
            match policies.collect::<Result<Arc<[Policy]>, _>>() {
                Ok(policies) => Ok((Arc::clone(&role.arn), policies)),
                Err(source) => Err(InvalidRole { role: Arc::clone(&role.arn), source }),
            }
        };
        roles.into_iter().map(read).collect()
    }

    /// What a function may do; `None` for one whose role is not known, which may do everything.
    pub(crate) fn of(&self, function: &Function) -> Option<Permissions> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&function.role).map(|policies| Permissions(Arc::clone(policies)))
    }
}

/// What one role may do.
#[derive(Debug)]
pub(crate) struct Permissions(Arc<[Policy]>);

impl Permissions {
    /// Whether it depends on which items a request is about.
    pub(crate) fn ask_for_items(&self) -> bool {
        self.0.iter().any(|policy| policy.asks_for(&[LEADING_KEYS]))
    }

    /// Checks that a function may carry out a request to tables. What is no JSON is `None`.
    pub(crate) fn check(
        &self,
        function: &Function,
        (operation, body): (&str, Option<&Value>),
        (region, account): (&str, &str),
        partition_keys: &PartitionKeys,
    ) -> Result<(), NotAuthorized> {
        let place = Place { partition: partition(function), region, account };
        let needed = match body {
            Some(body) => needed(operation, body, place),
            // The store might read what is not read here: only who may do everything learns what it says.
            None => vec![Access::unread(operation)],
        };
        for Access { action, resource, part } in needed {
            let partition_key = partition_keys.get(&resource).map(String::as_str);
            let mut facts = Facts::of(action, part, partition_key);
            facts.tell(table_facts::REGION, [region.to_owned()]);
            facts.tell(table_facts::PRINCIPAL_ARN, [(*function.role).to_owned()]);
            facts.tell(table_facts::PRINCIPAL_ACCOUNT, [function.arn.account().to_owned()]);
            let action = format!("dynamodb:{action}");
            let verdict = judge(self.0.iter(), &action, &resource, &|key| facts.get(key));
            if verdict != Verdict::Allowed {
                return Err(NotAuthorized { user: user(function), action, resource, verdict });
            }
        }
        Ok(())
    }
}

/// A function as AWS names it where it is a caller.
///
/// Source: IAM User Guide, "Assumed-role session principals": the session has the function's name.
pub(crate) fn user(function: &Function) -> String {
    let role = function.role.rsplit('/').next().filter(|role| !role.is_empty());
    let (partition, account) = (partition(function), function.arn.account());
    let (role, name) = (role.unwrap_or("stillwire"), function.name());
    format!("arn:{partition}:sts::{account}:assumed-role/{role}/{name}")
}

fn partition(function: &Function) -> &str {
    function.arn.as_str().split(':').nth(1).unwrap_or("aws")
}

/// A function whose role does not allow what it asks for.
#[derive(Debug)]
pub(crate) struct NotAuthorized {
    user: String,
    action: String,
    resource: String,
    verdict: Verdict,
}

impl NotAuthorized {
    /// What the caller reads.
    ///
    /// Source: IAM User Guide, "Troubleshoot access denied error messages".
    pub(crate) fn message(&self) -> String {
        let Self { user, action, resource, verdict } = self;
        let because = match verdict {
            Verdict::Denied => "with an explicit deny in an identity-based policy".to_owned(),
            Verdict::Unsaid | Verdict::Allowed => {
                format!("because no identity-based policy allows the {action} action")
            }
        };
        format!(
            "User: {user} is not authorized to perform: {action} on resource: {resource} {because}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use stillwire_model::{Code, FunctionArn, LATEST, Logging, Runtime};

    use super::*;

    const ROLE: &str = "arn:aws:iam::1:role/service/chat-role";

    fn function(role: &str) -> Function {
        Function {
            stack: "s".into(),
            logical_id: "F".into(),
            arn: FunctionArn::new("aws", "eu-west-1", "1", "chat"),
            version: LATEST.into(),
            role: role.into(),
            runtime: Runtime::Python(12),
            handler: "a.b".to_owned(),
            code: Code::Image(String::new()),
            layers: Vec::new(),
            environment: BTreeMap::new(),
            memory_mb: 128,
            timeout: Duration::from_secs(3),
            logging: Logging::default(),
            reserved_concurrency: None,
            snap_start: false,
        }
    }

    /// Checks a request of a function whose role may query the indexes of the table `t`, and do `more`.
    fn check(more: &Value, role: &str, operation: &str, body: &str) -> Result<(), String> {
        let query = json!({ "Statement": [{ "Effect": "Allow", "Action": "dynamodb:Query",
            "Resource": "arn:aws:dynamodb:eu-west-1:1:table/t/index/*" }] });
        let policies = vec![query, json!({ "Statement": more })];
        let role_of_app = Role { arn: ROLE.into(), policies, unknown_policies: Vec::new() };
        let roles = Roles::new([&role_of_app]).unwrap();
        let body = serde_json::from_str(body).ok();
        let function = function(role);
        let Some(permissions) = roles.of(&function) else { return Ok(()) };
        let keys = [("arn:aws:dynamodb:eu-west-1:1:table/t".to_owned(), "id".to_owned())].into();
        permissions
            .check(&function, (operation, body.as_ref()), ("eu-west-1", "1"), &keys)
            .map_err(|refused| refused.message())
    }

    #[test]
    fn a_role_may_be_for_some_items_and_attributes_only() {
        let own = json!({ "Effect": "Allow", "Action": "dynamodb:*",
            "Resource": "arn:aws:dynamodb:eu-west-1:1:table/t", "Condition": {
                "ForAllValues:StringLike": { "dynamodb:LeadingKeys": ["ada*"],
                    "dynamodb:Attributes": ["id", "text"] },
                "StringEqualsIfExists": { "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
                    "dynamodb:ReturnValues": ["NONE"] } } });
        for (operation, body, allowed) in [
            (
                "GetItem",
                r#"{"TableName":"t","Key":{"id":{"S":"ada"}},"ProjectionExpression":"text"}"#,
                true,
            ),
            ("GetItem", r#"{"TableName":"t","Key":{"id":{"S":"ada"}}}"#, false),
            (
                "GetItem",
                r#"{"TableName":"t","Key":{"id":{"S":"bob"}},"ProjectionExpression":"text"}"#,
                false,
            ),
            (
                "GetItem",
                r#"{"TableName":"t","Key":{"id":{"S":"ada"}},"ProjectionExpression":"secret"}"#,
                false,
            ),
            ("PutItem", r#"{"TableName":"t","Item":{"id":{"S":"ada 2"},"text":{"S":"x"}}}"#, true),
            ("PutItem", r#"{"TableName":"t","Item":{"id":{"S":"bob"},"text":{"S":"x"}}}"#, false),
            (
                "TransactWriteItems",
                r#"{"TransactItems":[{"Delete":{"TableName":"t","Key":{"id":{"S":"ada"}}}},
                    {"Delete":{"TableName":"t","Key":{"id":{"S":"bob"}}}}]}"#,
                false,
            ),
            // The attributes of statements are not known.
            ("ExecuteStatement", r#"{"Statement":"SELECT id FROM t WHERE id = 'ada'"}"#, false),
        ] {
            let found = check(&own, ROLE, operation, body);
            assert_eq!(found.is_ok(), allowed, "{operation} {body}: {found:?}");
        }
    }

    #[test]
    fn statements_may_be_about_some_items_only() {
        let own = json!({ "Effect": "Allow", "Action": "dynamodb:PartiQL*",
            "Resource": "arn:aws:dynamodb:eu-west-1:1:table/t", "Condition": {
                "ForAllValues:StringEquals": { "dynamodb:LeadingKeys": ["ada", "ada 2"] } } });
        let batch = r#"{"Statements":[{"Statement":"DELETE FROM t WHERE id = 'ada'"},{"Statement":"SELECT * FROM t WHERE id = 'WHO'"}]}"#;
        let one = |text: &str| json!({ "Statement": text }).to_string();
        for (operation, body, allowed) in [
            ("ExecuteStatement", one("SELECT * FROM t WHERE id = 'ada'"), true),
            ("ExecuteStatement", one("SELECT * FROM t WHERE id IN ['ada', 'ada 2']"), true),
            ("ExecuteStatement", one("SELECT * FROM t WHERE id IN ['ada', 'bob']"), false),
            ("ExecuteStatement", one("SELECT * FROM t WHERE id = 'ada' OR n = 1"), false),
            ("ExecuteStatement", one("SELECT * FROM t"), false),
            ("ExecuteStatement", one("INSERT INTO t VALUE {'id': 'ada'}"), true),
            ("ExecuteStatement", one("INSERT INTO t VALUE {'id': 'bob'}"), false),
            ("BatchExecuteStatement", batch.replace("WHO", "ada"), true),
            ("BatchExecuteStatement", batch.replace("WHO", "bob"), false),
            // Another table has another key.
            ("ExecuteStatement", one("SELECT * FROM u WHERE id = 'ada'"), false),
        ] {
            let found = check(&own, ROLE, operation, &body);
            assert_eq!(found.is_ok(), allowed, "{operation} {body}: {found:?}");
        }
        // What is denied for some items is denied where they cannot be told.
        let denied = json!([
            { "Effect": "Allow", "Action": "dynamodb:*", "Resource": "*" },
            { "Effect": "Deny", "Action": "dynamodb:*", "Resource": "*", "Condition": {
                "ForAnyValue:StringEquals": { "dynamodb:LeadingKeys": "secret" } } }]);
        for (text, allowed) in [
            ("SELECT * FROM t WHERE id = 'ada'", true),
            ("SELECT * FROM t WHERE id IN ['ada', 'secret']", false),
            ("SELECT * FROM t WHERE id > 'ada'", false),
        ] {
            let found = check(&denied, ROLE, "ExecuteStatement", &one(text));
            assert_eq!(found.is_ok(), allowed, "{text}: {found:?}");
        }
    }

    #[test]
    fn a_condition_that_is_not_evaluated_allows_nothing_and_is_told() {
        let statement = |effect: &str, action: &str| {
            json!({ "Effect": effect, "Action": action, "Resource": "*",
                "Condition": { "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } } })
        };
        let body = r#"{"TableName":"t"}"#;
        assert!(check(&statement("Allow", "*"), ROLE, "Scan", body).is_err());
        let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
        let denied = json!([everything, statement("Deny", "dynamodb:Scan")]);
        assert!(check(&denied, ROLE, "Scan", body).unwrap_err().contains("explicit deny"));
        let policies = ["dynamodb:Scan", "s3:*"]
            .map(|action| json!({ "Statement": statement("Allow", action) }));
        let role =
            Role { arn: ROLE.into(), policies: policies.into(), unknown_policies: Vec::new() };
        assert_eq!(Roles::not_evaluated(&role), ["IpAddress aws:SourceIp"]);
    }

    #[test]
    fn a_role_allows_what_one_of_its_policies_allows_and_none_denies() {
        let on_index = r#"{ "TableName": "t", "IndexName": "i" }"#;
        let on_table = r#"{ "TableName": "t" }"#;
        let none = json!([]);
        assert_eq!(check(&none, ROLE, "Query", on_index), Ok(()));
        assert_eq!(
            check(&none, ROLE, "Query", on_table).unwrap_err(),
            "User: arn:aws:sts::1:assumed-role/chat-role/chat is not authorized to perform: \
             dynamodb:Query on resource: arn:aws:dynamodb:eu-west-1:1:table/t because no \
             identity-based policy allows the dynamodb:Query action"
        );
        let deny = json!({ "Effect": "Deny", "Action": "dynamodb:*", "Resource": "*" });
        let denied = check(&deny, ROLE, "Query", on_index).unwrap_err();
        assert!(denied.ends_with("index/i with an explicit deny in an identity-based policy"));
        assert_eq!(check(&none, "arn:aws:iam::1:role/elsewhere", "Query", on_table), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_is_for_those_who_may_do_everything() {
        let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for body in ["{", &deep] {
            assert_eq!(check(&everything, ROLE, "BatchGetItem", body), Ok(()));
            let refused = check(&json!([]), ROLE, "BatchGetItem", body).unwrap_err();
            assert!(refused.contains("on resource: * because"), "{refused}");
        }
    }
}
