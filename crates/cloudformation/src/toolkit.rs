//! The stack that the CDK's bootstrapping makes, and looks for: here it is always there, in the newest version, so nothing has
//! to be bootstrapped.
//!
//! Source: AWS CDK Developer Guide, "AWS CDK bootstrapping", the template's outputs and parameters.

use std::collections::BTreeMap;

use crate::reading::{Output, Parameter, Reading};
use crate::state::{Deployed, Place, Stack};
use crate::status::Status;

/// Its name, unless somebody gives it another.
const NAME: &str = "CDKToolkit";

/// The qualifier of resources, unless somebody chooses another.
const QUALIFIER: &str = "hnb659fds";

/// A version that no template asks for more than. The CDK never goes back to a lower one.
const VERSION: &str = "999";

/// Says what it is to whoever asks for its template.
const TEMPLATE: &str = r#"{
  "Description": "Stillwire is bootstrapped for the CDK by itself: nothing is deployed here",
  "Parameters": {
    "Qualifier": { "Type": "String", "Default": "hnb659fds" },
    "BootstrapVariant": { "Type": "String", "Default": "AWS CDK: Default Resources" }
  },
  "Resources": {}
}
"#;

pub(crate) fn is_toolkit(name: &str) -> bool {
    name == NAME
}

/// Whether a caller means it, by its name or ARN.
pub(crate) fn is_meant(place: &Place, named: &str) -> bool {
    is_toolkit(named) || named == stack_id(place)
}

fn stack_id(Place { account, region }: &Place) -> String {
    let id = "00000000-0000-4000-8000-000000000000";
    format!("arn:aws:cloudformation:{region}:{account}:stack/{NAME}/{id}")
}

/// The stack, as an environment that was bootstrapped has it.
pub(crate) fn stack(place: &Place) -> Stack {
    let Place { account, region } = place;
    let bucket = format!("cdk-{QUALIFIER}-assets-{account}-{region}");
    let output = |key: &str, value: String| Output {
        key: key.to_owned(),
        value,
        description: None,
        export: None,
    };
    let parameter = |key: &str, value: &str| Parameter {
        key: key.to_owned(),
        value: value.to_owned(),
        resolved: None,
        no_echo: false,
    };
    let reading = Reading {
        description: Some("Stillwire is bootstrapped for the CDK by itself".to_owned()),
        outputs: vec![
            output("BucketName", bucket.clone()),
            output("BucketDomainName", format!("{bucket}.s3.{region}.amazonaws.com")),
            output(
                "ImageRepositoryName",
                format!("cdk-{QUALIFIER}-container-assets-{account}-{region}"),
            ),
            output("BootstrapVersion", VERSION.to_owned()),
        ],
        parameters: vec![
            parameter("Qualifier", QUALIFIER),
            parameter("BootstrapVariant", "AWS CDK: Default Resources"),
        ],
        ..Reading::default()
    };
    Stack {
        id: stack_id(place),
        deployed: Some(Deployed {
            template: TEMPLATE.to_owned(),
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
            reading,
        }),
        ..Stack::new(place, NAME, Status::CreateComplete, 0)
    }
}
