//! Terraform: its AWS provider cannot be fetched where tests run, so a script makes the calls that it makes.

use serde_json::json;
use stillwire_testkit::tools;

use crate::support::House;

#[test]
fn what_the_provider_calls_makes_the_chat_and_destroys_it() {
    let house = House::new();
    let app = tools::workspace().join("examples/terraform-chat");
    let seen = house.script("terraform.py", &[app.to_str().unwrap()]);
    let role = "arn:aws:iam::999999999999:role/terraform-chat-dev";
    let basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";
    let made = json!([
        ["ACTIVE", "DISABLED", "expires_at", []],
        [role, 1, [basic]],
        [7, {}],
        [256, true, 1, "", null],
        ["terraform-chat-dev", { "made-by": "terraform" }, "AWS_PROXY", ["$connect", "$disconnect", "chat"], true,
            "AllowExecutionFromApiGateway"],
    ]);
    assert_eq!(seen["made"], made);
    assert_eq!(seen["drift"], false);
    assert_eq!(seen["message"], json!({ "message": "hi" }));
    assert_eq!(seen["changed"], json!({ "changed": "hi" }));
    assert_eq!(seen["after"], json!([512, true]));
    assert_eq!(seen["profiles"], json!([]));
    let gone = [
        "NotFoundException",
        "ResourceNotFoundException",
        "NoSuchEntity",
        "ResourceNotFoundException",
    ];
    assert_eq!(seen["gone"], json!(gone));
}
