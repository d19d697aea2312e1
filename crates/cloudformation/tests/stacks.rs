//! Stacks, change sets and events, with a host that does as it is told.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    clippy::format_collect,
    reason = "a test says what went wrong by panicking"
)]

mod support;

use support::{Got, Service};

const ONE: &str = r#"{ "resources": { "A": ["T", 1] }, "outputs": { "x": "1" } }"#;
const TWO: &str =
    r#"{ "resources": { "A": ["T", 2], "B": ["T", 1, "retain"] }, "outputs": { "x": "1" } }"#;

async fn change_set(service: &Service, stack: &str, kind: &str, template: &str) -> Got {
    let members = [
        ("StackName", stack),
        ("ChangeSetName", "c"),
        ("ChangeSetType", kind),
        ("TemplateBody", template),
    ];
    service.call("CreateChangeSet", &members).await
}

async fn create(service: &Service, stack: &str, template: &str) -> String {
    let got =
        service.call("CreateStack", &[("StackName", stack), ("TemplateBody", template)]).await;
    assert_eq!(got.status, 200, "{}", got.body);
    service.settled(stack).await
}

#[tokio::test]
async fn a_change_set_is_planned_executed_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    let made = change_set(&service, "s", "CREATE", ONE).await;
    let named = [("StackName", "s"), ("ChangeSetName", "c")];
    let shown = service.call("DescribeChangeSet", &named).await;
    assert_eq!(
        (shown.text("Status"), shown.text("ExecutionStatus")),
        ("CREATE_COMPLETE".into(), "AVAILABLE".into())
    );
    assert_eq!((shown.text("Action"), shown.text("LogicalResourceId")), ("Add".into(), "A".into()));
    assert!(service.host.running.lock().unwrap().is_empty(), "nothing runs before it is executed");
    let template = service.call("GetTemplate", &[("StackName", "s")]).await;
    assert_eq!(template.text("TemplateBody"), "{}", "a stack in review has none");

    let id = made.text("Id");
    service.call("ExecuteChangeSet", &[("ChangeSetName", &id)]).await;
    assert_eq!(service.settled("s").await, "CREATE_COMPLETE");
    let expected = [
        "s REVIEW_IN_PROGRESS",
        "s CREATE_IN_PROGRESS",
        "A CREATE_IN_PROGRESS",
        "A CREATE_COMPLETE",
        "s CREATE_COMPLETE",
    ];
    assert_eq!(service.events("s").await, expected);

    // Nothing to do: the change set says so, and is not to be executed.
    change_set(&service, "s", "UPDATE", ONE).await;
    let same = service.call("DescribeChangeSet", &named).await;
    assert_eq!(same.text("Status"), "FAILED");
    assert!(
        same.text("StatusReason").starts_with("The submitted information didn't contain changes")
    );
    let refused = service.call("ExecuteChangeSet", &named).await;
    assert_eq!(refused.text("Code"), "InvalidChangeSetStatus");
    service.call("DeleteChangeSet", &named).await;
    let gone =
        service.call("DescribeChangeSet", &[("ChangeSetName", &same.text("ChangeSetId"))]).await;
    assert_eq!((gone.status, gone.text("Code")), (404, "ChangeSetNotFound".into()));

    change_set(&service, "s", "UPDATE", TWO).await;
    let shown = service.call("DescribeChangeSet", &named).await;
    assert_eq!(shown.texts("Action"), ["Modify", "Add"]);
    assert_eq!((shown.text("Replacement"), shown.text("Name")), ("False".into(), "Value".into()));
    service.call("ExecuteChangeSet", &named).await;
    assert_eq!(service.settled("s").await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn what_cannot_be_read_is_a_failed_change_set_and_an_event_of_its_resource() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    change_set(&service, "s", "CREATE", r#"{ "broken": "A" }"#).await;
    let named = [("StackName", "s"), ("ChangeSetName", "c")];
    let shown = service.call("DescribeChangeSet", &named).await;
    assert_eq!(
        (shown.text("Status"), shown.text("StatusReason")),
        ("FAILED".into(), "A: it cannot be read".into())
    );
    assert_eq!(service.events("s").await, ["s REVIEW_IN_PROGRESS", "A CREATE_FAILED"]);
    let details = service.call("DescribeEvents", &named).await;
    assert_eq!(details.text("ValidationStatusReason"), "it cannot be read");
    // What is no template at all is refused at once, and leaves nothing.
    let refused = change_set(&service, "t", "CREATE", "{").await;
    assert_eq!((refused.status, refused.text("Code")), (400, "ValidationError".into()));
    let none = service.call("DescribeStacks", &[("StackName", "t")]).await;
    assert_eq!(none.text("Message"), "Stack with id t does not exist");
}

#[tokio::test]
async fn a_failed_operation_changes_nothing_and_says_which_resource() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    let fails = r#"{ "resources": { "A": ["T", 3] }, "fails": "A" }"#;
    assert_eq!(create(&service, "s", fails).await, "ROLLBACK_COMPLETE");
    let events = service.events("s").await;
    let expected = [
        "s CREATE_IN_PROGRESS",
        "A CREATE_IN_PROGRESS",
        "A CREATE_FAILED",
        "s ROLLBACK_IN_PROGRESS",
        "s ROLLBACK_COMPLETE",
    ];
    assert_eq!(events, expected);
    // Such a stack is not updated, only deleted.
    let refused = service.call("UpdateStack", &[("StackName", "s"), ("TemplateBody", ONE)]).await;
    assert!(
        refused.text("Message").contains("is in ROLLBACK_COMPLETE state and can not be updated"),
        "{}",
        refused.body
    );
    service.call("DeleteStack", &[("StackName", "s")]).await;
    for _ in 0..200 {
        if service.settled("s").await.is_empty() {
            break;
        }
    }

    assert_eq!(create(&service, "s", ONE).await, "CREATE_COMPLETE");
    service.call("UpdateStack", &[("StackName", "s"), ("TemplateBody", fails)]).await;
    assert_eq!(service.settled("s").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(service.host.running.lock().unwrap()["s"], ONE);
    let template = service.call("GetTemplate", &[("StackName", "s")]).await;
    assert!(
        template.text("TemplateBody").contains("&quot;A&quot;: [&quot;T&quot;, 1]"),
        "{}",
        template.body
    );
    // Where the caller wants it so, it stays failed until it is rolled back.
    let kept = [("StackName", "s"), ("TemplateBody", fails), ("DisableRollback", "true")];
    service.call("UpdateStack", &kept).await;
    assert_eq!(service.settled("s").await, "UPDATE_FAILED");
    service.call("RollbackStack", &[("StackName", "s")]).await;
    assert_eq!(service.settled("s").await, "UPDATE_ROLLBACK_COMPLETE");
}

#[tokio::test]
async fn what_others_import_is_not_taken_from_them() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    assert_eq!(create(&service, "from", ONE).await, "CREATE_COMPLETE");
    assert_eq!(create(&service, "to", r#"{ "imports": ["x"] }"#).await, "CREATE_COMPLETE");
    let imports = service.call("ListImports", &[("ExportName", "x")]).await;
    assert_eq!(imports.text("member"), "to");
    service.call("DeleteStack", &[("StackName", "from")]).await;
    assert_eq!(service.settled("from").await, "DELETE_FAILED");
    let reason = service.call("DescribeStacks", &[("StackName", "from")]).await;
    assert_eq!(
        reason.text("StackStatusReason"),
        "Export x cannot be deleted as it is in use by to"
    );
    assert!(service.host.running.lock().unwrap().contains_key("from"));
    service.call("DeleteStack", &[("StackName", "to")]).await;
    while !service.settled("to").await.is_empty() {}
    service.call("DeleteStack", &[("StackName", "from")]).await;
    while !service.settled("from").await.is_empty() {}
    assert!(service.host.running.lock().unwrap().is_empty());
}

#[tokio::test]
async fn parameters_are_given_kept_or_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    let template = r#"{ "parameters": { "Name": "usual", "Needed": null, "Secret": "s" } }"#;
    let base = [("StackName", "s"), ("TemplateBody", template)];
    let missing = service.call("CreateStack", &base).await;
    assert_eq!(missing.text("Message"), "Parameters: [Needed] must have values");
    let with = |key: &'static str, value: &'static str| {
        let key = ("Parameters.member.1.ParameterKey", key);
        [base[0], base[1], key, ("Parameters.member.1.ParameterValue", value)]
    };
    let unknown = service.call("CreateStack", &with("Nope", "1")).await;
    assert_eq!(unknown.text("Message"), "Parameters: [Nope] do not exist in the template");
    service.call("CreateStack", &with("Needed", "n")).await;
    assert_eq!(service.settled("s").await, "CREATE_COMPLETE");
    let shown = service.call("DescribeStacks", &[("StackName", "s")]).await;
    assert_eq!(shown.texts("ParameterValue"), ["usual", "n", "****"]);
    let previous = [
        base[0],
        ("UsePreviousTemplate", "true"),
        ("Parameters.member.1.ParameterKey", "Needed"),
        ("Parameters.member.1.UsePreviousValue", "true"),
        ("Tags.member.1.Key", "k"),
        ("Tags.member.1.Value", "v"),
    ];
    let updated = service.call("UpdateStack", &previous).await;
    assert_eq!(updated.status, 200, "{}", updated.body);
    assert_eq!(service.settled("s").await, "UPDATE_COMPLETE");
    let shown = service.call("DescribeStacks", &[("StackName", "s")]).await;
    assert_eq!(
        (shown.texts("ParameterValue")[1].as_str(), shown.text("Key")),
        ("n", "k".to_owned())
    );
    let same = service.call("UpdateStack", &previous).await;
    assert_eq!(same.text("Message"), "No updates are to be performed.");
}

#[tokio::test]
async fn what_was_deployed_is_kept_and_what_was_cut_off_is_as_before() {
    let folder = tempfile::tempdir().unwrap();
    {
        let service = Service::new(folder.path());
        create(&service, "s", ONE).await;
        create(&service, "gone", ONE.replace("\"x\"", "\"y\"").as_str()).await;
        service.call("DeleteStack", &[("StackName", "gone")]).await;
        while !service.settled("gone").await.is_empty() {}
    }
    // As a run leaves it that was killed in an update.
    let stacks = folder.path().join("stacks");
    for file in std::fs::read_dir(&stacks).unwrap().flatten() {
        let text = std::fs::read_to_string(file.path()).unwrap();
        if text.contains(r#""name": "s""#) {
            let (now, cut) =
                (r#""status": "CREATE_COMPLETE""#, r#""status": "UPDATE_IN_PROGRESS""#);
            std::fs::write(file.path(), text.replacen(now, cut, 1)).unwrap();
        }
    }
    let service = Service::new(folder.path());
    assert_eq!(service.host.running.lock().unwrap().keys().collect::<Vec<_>>(), ["s"]);
    assert_eq!(service.settled("s").await, "UPDATE_ROLLBACK_COMPLETE");
    let listed = service.call("ListStacks", &[]).await;
    assert_eq!(listed.texts("StackName").len(), 2, "one that is gone is remembered");
    let other = service.of_account("111111111111");
    let none = other.call("DescribeStacks", &[("StackName", "s")]).await;
    assert_eq!(none.status, 400, "another account has no such stack");
}

#[tokio::test]
async fn templates_come_by_the_way_of_uploads_too_and_names_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.json"), ONE).unwrap();
    let service = Service::new(folder.path());
    let url = "http://127.0.0.1:7799/bucket/t.json";
    let made = service.call("CreateStack", &[("StackName", "s"), ("TemplateURL", url)]).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(service.settled("s").await, "CREATE_COMPLETE");
    for (name, url) in
        [("t", "http://127.0.0.1:7799/bucket/none"), ("t", "file:///etc/passwd"), ("../t", url)]
    {
        let refused =
            service.call("CreateStack", &[("StackName", name), ("TemplateURL", url)]).await;
        assert_eq!(
            (refused.status, refused.text("Code")),
            (400, "ValidationError".into()),
            "{name} {url}"
        );
    }
    let long = "x".repeat(1024 * 1024 + 1);
    let refused = service.call("CreateStack", &[("StackName", "t"), ("TemplateBody", &long)]).await;
    assert!(refused.text("Message").contains("may not exceed"), "{}", refused.body);
    let again = service.call("CreateStack", &[("StackName", "s"), ("TemplateBody", ONE)]).await;
    assert_eq!(again.text("Code"), "AlreadyExistsException");
    let unknown = service.call("MakeCoffee", &[]).await;
    assert_eq!(unknown.text("Code"), "InvalidAction");
}

#[tokio::test]
async fn a_protected_stack_stays_and_iam_has_to_be_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    let iam = r#"{ "resources": { "R": ["AWS::IAM::Role", 1] } }"#;
    let refused = service.call("CreateStack", &[("StackName", "s"), ("TemplateBody", iam)]).await;
    assert_eq!(refused.text("Code"), "InsufficientCapabilitiesException");
    assert_eq!(refused.text("Message"), "Requires capabilities : [CAPABILITY_IAM]");
    let members = [
        ("StackName", "s"),
        ("TemplateBody", iam),
        ("Capabilities.member.1", "CAPABILITY_IAM"),
        ("EnableTerminationProtection", "true"),
    ];
    service.call("CreateStack", &members).await;
    assert_eq!(service.settled("s").await, "CREATE_COMPLETE");
    let refused = service.call("DeleteStack", &[("StackName", "s")]).await;
    assert!(
        refused.text("Message").contains("TerminationProtection is enabled"),
        "{}",
        refused.body
    );
    let open = [("StackName", "s"), ("EnableTerminationProtection", "false")];
    service.call("UpdateTerminationProtection", &open).await;
    service.call("DeleteStack", &[("StackName", "s")]).await;
    while !service.settled("s").await.is_empty() {}
}

#[tokio::test]
async fn the_cdk_finds_its_environment_bootstrapped() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(folder.path());
    let shown = service.call("DescribeStacks", &[("StackName", "CDKToolkit")]).await;
    assert_eq!(shown.text("StackStatus"), "CREATE_COMPLETE");
    assert!(shown.body.contains("cdk-hnb659fds-assets-999999999999-us-east-1"), "{}", shown.body);
    change_set(&service, "CDKToolkit", "UPDATE", r#"{ "resources": { "B": ["T", 1] } }"#).await;
    let named = [("StackName", "CDKToolkit"), ("ChangeSetName", "c")];
    assert_eq!(service.call("DescribeChangeSet", &named).await.text("Status"), "FAILED");
    assert_eq!(
        service.call("DescribeStacks", &[]).await.text("StackName"),
        "",
        "nobody has made it"
    );
    assert!(service.host.running.lock().unwrap().is_empty());
}
