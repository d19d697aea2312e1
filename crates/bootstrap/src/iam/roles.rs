//! Roles, with their inline and attached policies.
//!
//! Source: IAM API reference.

use stillwire_awswire::{Xml, iso_millis};

use super::state::Role;
use super::{Call, document, encoded, exists, invalid, name, no_entity, unique_id};
use crate::error::{Answered, Refused};

/// How long sessions of a role may last unless it says more, in seconds. Source: `CreateRole`, `MaxSessionDuration`.
const SESSION_SECONDS: u32 = 3600;

impl Call<'_> {
    fn role(&self) -> Answered<&Role> {
        let name = self.needed("RoleName")?;
        let role = self.account.roles.get(name);
        role.ok_or_else(|| no_entity(format!("The role with name {name} cannot be found.")))
    }

    fn role_mut(&mut self) -> Answered<&mut Role> {
        let name = self.role()?.name.clone();
        self.account.roles.get_mut(&name).ok_or_else(|| no_entity("The role cannot be found."))
    }

    /// The path that a request names, or the usual one.
    pub(super) fn path(&self) -> Answered<String> {
        let path = self.query.get("Path").unwrap_or("/");
        if path.starts_with('/') && path.ends_with('/') && path.len() <= 512 && path.is_ascii() {
            return Ok(path.to_owned());
        }
        Err(invalid("The specified value for path is invalid. It must begin and end with /"))
    }

    pub(super) fn create_role(&mut self) -> Answered<Xml> {
        let name = name(self.needed("RoleName")?)?;
        if self.account.roles.contains_key(&name) {
            return Err(exists(format!("Role with name {name} already exists.")));
        }
        let role = Role {
            path: self.path()?,
            id: unique_id("AROA"),
            created: self.now,
            assume_role_policy: document(self.needed("AssumeRolePolicyDocument")?)?,
            description: self.query.get("Description").map(str::to_owned),
            session_max: self.session_max().unwrap_or(SESSION_SECONDS),
            boundary: self.query.get("PermissionsBoundary").map(str::to_owned),
            tags: self.query.pairs("Tags", "Key", "Value"),
            name: name.clone(),
            ..Role::default()
        };
        let mut xml = Xml::new();
        write(&mut xml, "Role", self.digits, &role);
        self.account.roles.insert(name, role);
        Ok(xml)
    }

    fn session_max(&self) -> Option<u32> {
        self.query.get("MaxSessionDuration")?.parse().ok()
    }

    pub(super) fn get_role(&self) -> Answered<Xml> {
        let mut xml = Xml::new();
        write(&mut xml, "Role", self.digits, self.role()?);
        Ok(xml)
    }

    pub(super) fn list_roles(&self) -> Xml {
        let mut xml = Xml::new();
        let prefix = self.query.get("PathPrefix").unwrap_or("/");
        let roles = self.account.roles.values().filter(|role| role.path.starts_with(prefix));
        xml.members("Roles", roles, |xml, role| write_members(xml, self.digits, role));
        xml.flag("IsTruncated", false);
        xml
    }

    pub(super) fn update_role(&mut self) -> Answered<Xml> {
        let description = self.query.sent("Description").map(str::to_owned);
        let session_max = self.session_max();
        let role = self.role_mut()?;
        role.description = description.or_else(|| role.description.take());
        role.session_max = session_max.unwrap_or(role.session_max);
        let role = role.clone();
        let mut xml = Xml::new();
        write(&mut xml, "Role", self.digits, &role);
        Ok(xml)
    }

    pub(super) fn update_assume_role_policy(&mut self) -> Answered<Xml> {
        let document = document(self.needed("PolicyDocument")?)?;
        self.role_mut()?.assume_role_policy = document;
        Ok(Xml::new())
    }

    pub(super) fn delete_role(&mut self) -> Answered<Xml> {
        let role = self.role()?;
        if !role.inline.is_empty() {
            return Err(conflict("Cannot delete entity, must delete policies first."));
        }
        if !role.attached.is_empty() {
            return Err(conflict("Cannot delete entity, must detach all policies first."));
        }
        let name = role.name.clone();
        self.account.roles.remove(&name);
        Ok(Xml::new())
    }

    pub(super) fn put_role_policy(&mut self) -> Answered<Xml> {
        let name = name(self.needed("PolicyName")?)?;
        let document = document(self.needed("PolicyDocument")?)?;
        self.role_mut()?.inline.insert(name, document);
        Ok(Xml::new())
    }

    pub(super) fn get_role_policy(&self) -> Answered<Xml> {
        let (role, name) = (self.role()?, self.needed("PolicyName")?);
        let document = role.inline.get(name).ok_or_else(|| no_policy(name))?;
        let mut xml = Xml::new();
        xml.text("RoleName", &role.name).text("PolicyName", name);
        xml.text("PolicyDocument", encoded(document));
        Ok(xml)
    }

    pub(super) fn delete_role_policy(&mut self) -> Answered<Xml> {
        let name = self.needed("PolicyName")?.to_owned();
        self.role_mut()?.inline.remove(&name).ok_or_else(|| no_policy(&name))?;
        Ok(Xml::new())
    }

    pub(super) fn list_role_policies(&self) -> Answered<Xml> {
        let mut xml = Xml::new();
        xml.texts("PolicyNames", self.role()?.inline.keys()).flag("IsTruncated", false);
        Ok(xml)
    }

    pub(super) fn attach_role_policy(&mut self) -> Answered<Xml> {
        let arn = self.needed("PolicyArn")?.to_owned();
        self.known_policy(&arn)?;
        let role = self.role_mut()?;
        if !role.attached.contains(&arn) {
            role.attached.push(arn);
        }
        Ok(Xml::new())
    }

    pub(super) fn detach_role_policy(&mut self) -> Answered<Xml> {
        let arn = self.needed("PolicyArn")?.to_owned();
        let role = self.role_mut()?;
        let count = role.attached.len();
        role.attached.retain(|attached| *attached != arn);
        if role.attached.len() == count {
            return Err(no_entity(format!("Policy {arn} was not found.")));
        }
        Ok(Xml::new())
    }

    pub(super) fn list_attached_role_policies(&self) -> Answered<Xml> {
        let mut xml = Xml::new();
        xml.members("AttachedPolicies", &self.role()?.attached, |xml, arn| {
            xml.text("PolicyName", arn.rsplit('/').next().unwrap_or_default());
            xml.text("PolicyArn", arn);
        });
        xml.flag("IsTruncated", false);
        Ok(xml)
    }

    pub(super) fn tag_role(&mut self) -> Answered<Xml> {
        let tags = self.query.pairs("Tags", "Key", "Value");
        self.role_mut()?.tags.extend(tags);
        Ok(Xml::new())
    }

    pub(super) fn untag_role(&mut self) -> Answered<Xml> {
        let query = self.query;
        let role = self.role_mut()?;
        for key in query.texts("TagKeys") {
            role.tags.remove(key);
        }
        Ok(Xml::new())
    }

    pub(super) fn list_role_tags(&self) -> Answered<Xml> {
        let mut xml = Xml::new();
        write_tags(&mut xml, &self.role()?.tags);
        xml.flag("IsTruncated", false);
        Ok(xml)
    }

    pub(super) fn set_boundary(&mut self, is_set: bool) -> Answered<Xml> {
        let boundary =
            if is_set { Some(self.needed("PermissionsBoundary")?.to_owned()) } else { None };
        self.role_mut()?.boundary = boundary;
        Ok(Xml::new())
    }

    /// There are no instances here.
    pub(super) fn list_instance_profiles(&self) -> Answered<Xml> {
        self.role()?;
        let mut xml = Xml::new();
        xml.texts("InstanceProfiles", [""; 0]).flag("IsTruncated", false);
        Ok(xml)
    }
}

fn conflict(message: &str) -> Refused {
    Refused::new(409, "DeleteConflict", message)
}

fn no_policy(name: &str) -> Refused {
    no_entity(format!("The role policy with name {name} cannot be found."))
}

pub(super) fn write_tags(xml: &mut Xml, tags: &std::collections::BTreeMap<String, String>) {
    xml.members("Tags", tags, |xml, (key, value)| _ = xml.text("Key", key).text("Value", value));
}

fn write(xml: &mut Xml, element: &str, account: &str, role: &Role) {
    xml.node(element, |xml| write_members(xml, account, role));
}

fn write_members(xml: &mut Xml, account: &str, role: &Role) {
    xml.text("Path", &role.path).text("RoleName", &role.name).text("RoleId", &role.id);
    xml.text("Arn", role.arn(account)).text("CreateDate", iso_millis(role.created));
    xml.text("AssumeRolePolicyDocument", encoded(&role.assume_role_policy));
    xml.maybe("Description", role.description.as_ref());
    xml.text("MaxSessionDuration", role.session_max.to_string());
    if let Some(boundary) = &role.boundary {
        xml.node("PermissionsBoundary", |xml| {
            xml.text("PermissionsBoundaryType", "Policy");
            xml.text("PermissionsBoundaryArn", boundary);
        });
    }
    write_tags(xml, &role.tags);
    xml.node("RoleLastUsed", |_| {});
}
