//! ECR: there are no repositories, because images are not run here. Tools that look for one are told so.

use serde_json::json;
use stillwire_model::{BoxFuture, ServiceApi, ServiceReply, ServiceRequest};

use crate::error::Refused;
use crate::json;

/// The service.
#[derive(Debug, Clone, Copy, Default)]
pub struct Repositories;

impl ServiceApi for Repositories {
    fn call(&self, request: ServiceRequest) -> BoxFuture<'static, ServiceReply> {
        let reply = json::answer(&request, |operation, members| match operation {
            "DescribeRepositories" => match members.texts("repositoryNames").as_slice() {
                [] => Ok(json!({ "repositories": [] })),
                [name, ..] => Err(none(name)),
            },
            "DescribeImages" | "BatchGetImage" | "ListImages" => {
                Err(none(members.text("repositoryName")?.unwrap_or_default()))
            }
            "CreateRepository" | "PutImage" | "GetAuthorizationToken" => Err(Refused::new(
                400,
                "InvalidParameterException",
                "Stillwire runs functions from archives, not from container images: give the function a Runtime and code",
            )),
            other => Err(Refused::unserved("ECR", other)),
        });
        Box::pin(async move { reply })
    }
}

fn none(name: &str) -> Refused {
    let name: String = name.chars().take(256).collect();
    let message = format!(
        "The repository with name '{name}' does not exist: Stillwire runs functions from archives, not from container images"
    );
    Refused::new(400, "RepositoryNotFoundException", message)
}
