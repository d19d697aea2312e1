//! What deploy tools expect of an account besides CloudFormation and S3: who somebody is and which roles there are (STS, IAM),
//! parameters and secrets (SSM, Secrets Manager), logs of functions, repositories of images.
//!
//! | file | what it does |
//! | --- | --- |
//! | `sts` | who a caller is; temporary keys that lead to a role's account |
//! | `iam/…` | roles and policies, as Terraform and others make them beside functions |
//! | `ssm` | parameters, among them the one that says that the CDK's bootstrapping was done |
//! | `secrets` | secrets, as functions read them |
//! | `logs/…` | log groups, and what functions wrote |
//! | `ecr` | says that images are not run here |
//! | `query`, `json` | the two protocols |
//!
//! Each service is as much of itself as these tools call. What is made is kept and answered as it was said; roles and policies
//! mean something only where functions use them in the app's own template.
//!
//! Source: service models `sts` 2011-06-15, `iam` 2010-05-08, `ssm` 2014-11-06, `logs` 2014-03-28, `ecr` 2015-09-21.

mod ecr;
mod error;
mod iam;
mod json;
mod logs;
mod place;
mod query;
mod secrets;
mod ssm;
mod sts;

pub use ecr::Repositories;
pub use iam::Iam;
pub use logs::Logs;
pub use secrets::Secrets;
pub use ssm::Parameters;
pub use sts::Sts;
