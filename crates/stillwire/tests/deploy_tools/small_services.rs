//! STS, IAM, SSM, Logs and ECR, as far as deploy tools call them.

use serde_json::json;

use crate::support::House;

#[test]
fn the_services_beside_cloudformation_answer_as_tools_expect() {
    let mut house = House::new();
    let seen = house.script("small_services.py", &["make"]);
    assert_eq!(
        seen,
        json!({
            "identity": ["999999999999", true], "assumed": ["111111111111", 20, true],
            "assumed identity": "111111111111", "bad role": ["ValidationError", 400],
            "bootstrap": ["999", "999"], "parameter": ["two", 2], "first": "one",
            "by path": ["/app/a", "/app/b"], "no parameter": ["ParameterNotFound", 400],
            "exists": ["ParameterAlreadyExists", 400],
            "role": ["arn:aws:iam::999999999999:role/app/runner", "lambda.amazonaws.com", 3600],
            "inline": ["dynamodb:*"], "attached": ["AWSLambdaBasicExecutionRole", "own"],
            "conflict": ["DeleteConflict", 409], "gone": ["NoSuchEntity", 404],
            "group": ["/aws/own", 7, { "k": "v" }], "twice": ["ResourceAlreadyExistsException", 400],
            "no group": ["ResourceNotFoundException", 400], "repositories": [],
            "image": ["RepositoryNotFoundException", 400], "other account": ["ParameterNotFound", 400],
        })
    );
    house.restart();
    let seen = house.script("small_services.py", &["look"]);
    assert_eq!(seen, json!({ "parameter": "two", "role": "runner", "group": "/aws/own" }));
}
