//! Custom domains and their mappings.

mod support;

use serde_json::{Value, json};
use stillwire_deploy::Action;

use support::{error, loaded, row, with_environment};

fn resource(kind: &str, properties: Value) -> Value {
    json!({ "Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties })
}

/// An API with the stage `live` behind `ws.example.com`.
fn template() -> Value {
    with_environment(
        &json!({
            "TARGET": { "Fn::GetAtt": ["Domain", "RegionalDomainName"] },
            "ZONE": { "Fn::GetAtt": ["Domain", "RegionalHostedZoneId"] },
            "ARN": { "Fn::GetAtt": ["Domain", "DomainNameArn"] },
        }),
        &json!({
            "Api": resource("Api", json!({ "Name": "chat", "ProtocolType": "WEBSOCKET" })),
            "Stage": resource("Stage", json!({ "ApiId": { "Ref": "Api" }, "StageName": "live", "AutoDeploy": true })),
            "Domain": resource("DomainName", json!({ "DomainName": "WS.example.com",
                "DomainNameConfigurations": [{ "EndpointType": "REGIONAL", "CertificateArn": "arn:aws:acm:x" }] })),
            "Mapping": resource("ApiMapping", json!({ "DomainName": { "Ref": "Domain" },
                "ApiId": { "Ref": "Api" }, "Stage": { "Ref": "Stage" } })),
        }),
    )
}

fn mapping(domain: &str, key: &str, stage: &str) -> Value {
    resource(
        "ApiMapping",
        json!({ "DomainName": domain, "ApiId": { "Ref": "Api" }, "Stage": stage, "ApiMappingKey": key }),
    )
}

/// `domain/key stage` of every mapping.
fn mapped(template: &Value) -> Vec<String> {
    let loaded = loaded(template);
    let domains = loaded.app.domains().map(|domain| {
        domain.mappings.iter().map(|(key, to)| format!("{}/{key} {}", domain.name, to.stage))
    });
    domains.flatten().collect()
}

#[test]
fn a_domain_has_the_mappings_that_name_it() {
    let mut template = template();
    template["Resources"]["Second"] = mapping("ws.example.com", "v2", "live");
    template["Resources"]["Elsewhere"] = mapping("*.example.org", "v1", "live");
    let expected = ["ws.example.com/ live", "ws.example.com/v2 live", "*.example.org/v1 live"];
    let mut found = mapped(&template);
    found.sort_unstable();
    let mut sorted = expected.map(str::to_owned);
    sorted.sort_unstable();
    assert_eq!(found, sorted);
    let loaded = loaded(&template);
    assert_eq!(row(&loaded, "Domain").note, "custom domain WS.example.com");
    assert_eq!(row(&loaded, "Second").note, "ws.example.com/v2 leads to the stage live");
    let env = support::environment_of(&loaded);
    let target = &env["TARGET"];
    assert!(target.starts_with("d-") && target.ends_with(".execute-api.us-east-1.amazonaws.com"));
    assert!(env["ZONE"].starts_with('Z'), "{}", env["ZONE"]);
    assert_eq!(env["ARN"], "arn:aws:apigateway:us-east-1::/domainnames/WS.example.com");
}

#[test]
fn what_maps_nothing_that_runs_here_is_listed_so() {
    let mut template = template();
    template["Resources"]["Mapping"]["Properties"]["Stage"] = json!("none");
    let loaded = loaded(&template);
    assert_eq!(loaded.app.domains().count(), 0);
    for id in ["Domain", "Mapping"] {
        assert_eq!(row(&loaded, id).action, Action::NotRun, "{id}");
    }
    assert!(loaded.notices.iter().any(|notice| notice.text.contains("the stage \"none\"")));
}

#[test]
fn what_api_gateway_would_refuse_is_refused() {
    let with = |id: &str, resource: Value| {
        let mut template = template();
        template["Resources"][id] = resource;
        error(&template)
    };
    let text = with("Second", mapping("ws.example.com", "", "live"));
    assert!(
        text.contains("the domain ws.example.com maps the key \"\" to the stage live too"),
        "{text}"
    );
    let text = with("Second", mapping("ws.example.com", "a/b", "live"));
    assert!(text.contains("an API mapping key"), "{text}");
    let text = with("Second", resource("DomainName", json!({ "DomainName": "ws.example.com" })));
    assert!(text.contains("two custom domains have the name ws.example.com"), "{text}");
    let text = with("Second", resource("DomainName", json!({ "DomainName": "localhost" })));
    assert!(text.contains("the name of a domain"), "{text}");
}
