//! Managed policies, and their versions.
//!
//! Source: IAM API reference. Policies of AWS are known by their ARNs, and what they say is not.

use stillwire_awswire::{Xml, iso_millis};

use super::roles::write_tags;
use super::state::{Policy, PolicyVersion};
use super::{Call, document, encoded, exists, invalid, name, no_entity};
use crate::error::{Answered, Refused};

/// Versions of one policy. Source: IAM quotas.
const VERSIONS_MAX: usize = 5;

/// What ARNs of AWS's own policies begin with.
const OF_AWS: &str = "arn:aws:iam::aws:policy/";

fn no_policy(arn: &str) -> Refused {
    let arn: String = arn.chars().take(200).collect();
    no_entity(format!("Policy {arn} was not found."))
}

/// A policy of AWS, as far as anybody here knows it.
fn of_aws(arn: &str) -> Option<Policy> {
    let rest = arn.strip_prefix(OF_AWS).filter(|rest| !rest.is_empty() && rest.len() < 200)?;
    let (path, name) = rest
        .rsplit_once('/')
        .map_or((String::new(), rest), |(path, name)| (format!("{path}/"), name));
    let everything = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
    Some(Policy {
        name: name.to_owned(),
        path: format!("/{path}"),
        id: "ANPAAWS".to_owned(),
        versions: [(1, PolicyVersion { document: everything, created: 0 })].into(),
        default: 1,
        ..Policy::default()
    })
}

impl Call<'_> {
    /// Checks that a policy is one of the account's, or of AWS.
    pub(super) fn known_policy(&self, arn: &str) -> Answered<()> {
        self.policy(arn).map(drop)
    }

    fn policy(&self, arn: &str) -> Answered<Policy> {
        let own = self.account.policies.get(arn).cloned();
        own.or_else(|| of_aws(arn)).ok_or_else(|| no_policy(arn))
    }

    fn own_policy(&mut self) -> Answered<&mut Policy> {
        let arn = self.needed("PolicyArn")?.to_owned();
        self.account.policies.get_mut(&arn).ok_or_else(|| no_policy(&arn))
    }

    pub(super) fn create_policy(&mut self) -> Answered<Xml> {
        let version = PolicyVersion {
            document: document(self.needed("PolicyDocument")?)?,
            created: self.now,
        };
        let policy = Policy {
            name: name(self.needed("PolicyName")?)?,
            path: self.path()?,
            id: super::unique_id("ANPA"),
            created: self.now,
            description: self.query.get("Description").map(str::to_owned),
            tags: self.query.pairs("Tags", "Key", "Value"),
            versions: [(1, version)].into(),
            default: 1,
        };
        let arn = policy.arn(self.digits);
        if self.account.policies.contains_key(&arn) {
            return Err(exists(format!("A policy called {} already exists.", policy.name)));
        }
        let mut xml = Xml::new();
        xml.node("Policy", |xml| self.write(xml, &arn, &policy));
        self.account.policies.insert(arn, policy);
        Ok(xml)
    }

    fn write(&self, xml: &mut Xml, arn: &str, policy: &Policy) {
        let roles = self.account.roles.values();
        let attached = roles.filter(|role| role.attached.iter().any(|one| one == arn)).count();
        xml.text("PolicyName", &policy.name).text("PolicyId", &policy.id).text("Arn", arn);
        xml.text("Path", &policy.path).text("DefaultVersionId", format!("v{}", policy.default));
        xml.text("AttachmentCount", attached.to_string()).flag("IsAttachable", true);
        xml.maybe("Description", policy.description.as_ref());
        xml.text("CreateDate", iso_millis(policy.created));
        xml.text("UpdateDate", iso_millis(policy.created));
        write_tags(xml, &policy.tags);
    }

    pub(super) fn get_policy(&self) -> Answered<Xml> {
        let arn = self.needed("PolicyArn")?;
        let policy = self.policy(arn)?;
        let mut xml = Xml::new();
        xml.node("Policy", |xml| self.write(xml, arn, &policy));
        Ok(xml)
    }

    fn version_number(&self) -> Answered<u32> {
        let number = self.needed("VersionId")?.strip_prefix('v').and_then(|text| text.parse().ok());
        number.ok_or_else(|| invalid("VersionId is v and a number"))
    }

    pub(super) fn get_policy_version(&self) -> Answered<Xml> {
        let policy = self.policy(self.needed("PolicyArn")?)?;
        let number = self.version_number()?;
        let version = policy.versions.get(&number).ok_or_else(|| {
            no_entity(format!("Policy version v{number} does not exist or is not attachable."))
        })?;
        let mut xml = Xml::new();
        xml.node("PolicyVersion", |xml| {
            xml.text("Document", encoded(&version.document));
            write_version(xml, &policy, number, version);
        });
        Ok(xml)
    }

    pub(super) fn list_policy_versions(&self) -> Answered<Xml> {
        let policy = self.policy(self.needed("PolicyArn")?)?;
        let mut xml = Xml::new();
        xml.members("Versions", policy.versions.iter().rev(), |xml, (number, version)| {
            write_version(xml, &policy, *number, version);
        });
        xml.flag("IsTruncated", false);
        Ok(xml)
    }

    pub(super) fn create_policy_version(&mut self) -> Answered<Xml> {
        let document = document(self.needed("PolicyDocument")?)?;
        let becomes_default = self.query.flag("SetAsDefault") == Some(true);
        let version = PolicyVersion { document, created: self.now };
        let policy = self.own_policy()?;
        if policy.versions.len() >= VERSIONS_MAX {
            let message = "A managed policy can have up to 5 versions. Before you create a new version, you must delete an \
                 existing version.";
            return Err(Refused::new(409, "LimitExceeded", message));
        }
        let number = policy.versions.keys().next_back().map_or(1, |last| last + 1);
        policy.versions.insert(number, version.clone());
        if becomes_default {
            policy.default = number;
        }
        let mut xml = Xml::new();
        xml.node("PolicyVersion", |xml| write_version(xml, policy, number, &version));
        Ok(xml)
    }

    pub(super) fn delete_policy_version(&mut self) -> Answered<Xml> {
        let number = self.version_number()?;
        let policy = self.own_policy()?;
        if policy.default == number {
            return Err(Refused::new(
                409,
                "DeleteConflict",
                "Cannot delete the default version of a policy.",
            ));
        }
        policy.versions.remove(&number).ok_or_else(|| no_entity("there is no such version"))?;
        Ok(Xml::new())
    }

    pub(super) fn list_policies(&self) -> Xml {
        let mut xml = Xml::new();
        xml.members("Policies", &self.account.policies, |xml, (arn, policy)| {
            self.write(xml, arn, policy);
        });
        xml.flag("IsTruncated", false);
        xml
    }

    pub(super) fn delete_policy(&mut self) -> Answered<Xml> {
        let arn = self.needed("PolicyArn")?.to_owned();
        let is_attached = self.account.roles.values().any(|role| role.attached.contains(&arn));
        if is_attached {
            return Err(Refused::new(
                409,
                "DeleteConflict",
                "Cannot delete a policy attached to entities.",
            ));
        }
        self.account.policies.remove(&arn).ok_or_else(|| no_policy(&arn))?;
        Ok(Xml::new())
    }

    pub(super) fn list_entities_for_policy(&self) -> Xml {
        let arn = self.query.get("PolicyArn").unwrap_or_default();
        let roles = self.account.roles.values();
        let roles = roles.filter(|role| role.attached.iter().any(|one| one == arn));
        let mut xml = Xml::new();
        xml.members("PolicyRoles", roles, |xml, role| {
            xml.text("RoleName", &role.name).text("RoleId", &role.id);
        });
        xml.texts("PolicyGroups", [""; 0]).texts("PolicyUsers", [""; 0]);
        xml.flag("IsTruncated", false);
        xml
    }
}

fn write_version(xml: &mut Xml, policy: &Policy, number: u32, version: &PolicyVersion) {
    xml.text("VersionId", format!("v{number}"));
    xml.flag("IsDefaultVersion", policy.default == number);
    xml.text("CreateDate", iso_millis(version.created));
}
