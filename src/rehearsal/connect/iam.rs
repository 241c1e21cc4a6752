//! Users and roles of the stand-in for IAM: the query protocol, answered in XML (IAM API reference, version 2010-05-08).
//!
//! Invariant: a secret is told by the answer that makes it and never again.

use serde_json::{Value, json};

use super::access::No;
use super::provisioning::Provisioned;

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";
/// Most access keys of a user.
const KEYS_MAX: usize = 2;

impl Provisioned {
    /// Carries out an operation of IAM, in XML.
    pub(super) fn carry_out_iam(&mut self, name: &str, input: &Value, account: &str) -> Result<String, No> {
        let text = |member: &str| input[member].as_str().unwrap_or_default().to_owned();
        let (user, role) = (text("UserName"), text("RoleName"));
        let policy = |member: &str| -> Result<Value, No> {
            let malformed = |_| (400, "MalformedPolicyDocument", "the policy is no JSON".to_owned());
            serde_json::from_str(&text(member)).map_err(malformed)
        };
        let of_user =
            || format!("<User><UserName>{user}</UserName><Arn>arn:aws:iam::{account}:user/{user}</Arn></User>");
        let of_role =
            || format!("<Role><RoleName>{role}</RoleName><Arn>arn:aws:iam::{account}:role/{role}</Arn></Role>");
        let result = match name {
            "GetUser" => known(self.users.get_mut(&user)).map(|_| of_user())?,
            "CreateUser" => {
                absent(self.users.contains_key(&user))?;
                self.users.insert(user.clone(), json!({"keys": []}));
                of_user()
            }
            "PutUserPolicy" => {
                known(self.users.get_mut(&user))?["policy"] = policy("PolicyDocument")?;
                String::new()
            }
            "ListAccessKeys" => {
                let keys = known(self.users.get_mut(&user))?["keys"].clone();
                let keys = keys.as_array().into_iter().flatten().filter_map(Value::as_str);
                let members: String =
                    keys.map(|key| format!("<member><AccessKeyId>{key}</AccessKeyId></member>")).collect();
                format!("<AccessKeyMetadata>{members}</AccessKeyMetadata><IsTruncated>false</IsTruncated>")
            }
            "CreateAccessKey" => {
                let keys = known(self.users.get_mut(&user))?["keys"].as_array_mut().expect("it was made with them");
                if keys.len() >= KEYS_MAX {
                    return Err((409, "LimitExceeded", format!("a user has at most {KEYS_MAX} access keys")));
                }
                let key = format!("AKIA{:016}", keys.len());
                keys.push(json!(key));
                format!(
                    "<AccessKey><UserName>{user}</UserName><AccessKeyId>{key}</AccessKeyId><Status>Active</Status>\
                     <SecretAccessKey>made/secret+{}</SecretAccessKey></AccessKey>",
                    keys.len()
                )
            }
            "GetRole" => known(self.roles.get_mut(&role)).map(|_| of_role())?,
            "CreateRole" => {
                absent(self.roles.contains_key(&role))?;
                self.roles.insert(role.clone(), json!({"trusts": policy("AssumeRolePolicyDocument")?}));
                of_role()
            }
            "UpdateAssumeRolePolicy" => {
                known(self.roles.get_mut(&role))?["trusts"] = policy("PolicyDocument")?;
                String::new()
            }
            "PutRolePolicy" => {
                known(self.roles.get_mut(&role))?["policy"] = policy("PolicyDocument")?;
                String::new()
            }
            _ => return Err((501, "NotImplemented", format!("{name} is not rehearsed"))),
        };
        Ok(format!("<{name}Response xmlns=\"{NAMESPACE}\"><{name}Result>{result}</{name}Result></{name}Response>"))
    }
}

fn known(found: Option<&mut Value>) -> Result<&mut Value, No> {
    found.ok_or_else(|| (404, "NoSuchEntity", "there is none of this name".to_owned()))
}

fn absent(is_there: bool) -> Result<(), No> {
    match is_there {
        true => Err((409, "EntityAlreadyExists", "there is one of this name".to_owned())),
        false => Ok(()),
    }
}
