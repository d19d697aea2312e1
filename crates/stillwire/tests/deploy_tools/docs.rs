//! Every command of the how-to, as it is written there.

use std::fs;
use std::process::Command;

use stillwire_testkit::{Stillwire, example, tools};

use crate::support::{House, run};

const TABLE: &str = "Resources:\n  Table:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      BillingMode: PAY_PER_REQUEST\n      \
    AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]\n      KeySchema: [{ AttributeName: id, KeyType: HASH }]\n";

/// The blocks of shell commands of a document.
fn blocks(document: &str) -> Vec<String> {
    let text = fs::read_to_string(tools::workspace().join("docs").join(document)).unwrap();
    let parts = text.split("```sh\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_commands_of_the_how_to_work_in_their_order() {
    let house = House::new();
    let (chat, sam) = (example("cdk-chat"), example("sam-chat"));
    fs::write(house.home().join("table.yaml"), TABLE).unwrap();
    // The running Stillwire is the first block, and found by the others as any is.
    let endpoint = house.endpoint();
    let mut commands = blocks("how-to/deploy-tools.md").into_iter();
    assert_eq!(commands.next().unwrap(), "stillwire serve\n");
    let setup = commands.next().unwrap();
    assert_eq!(setup, "eval \"$(stillwire env)\"\n");
    // Tests run beside each other, so which one is meant has to be said; and the chat names its account.
    let setup = setup
        .replace("stillwire env", &format!("stillwire env --to {endpoint} --account 999999999999"));
    let to = format!(" --to {endpoint} --account 999999999999");
    let mut ran = 0;
    for block in commands {
        let folder = if block.contains("sam build") {
            sam.path()
        } else if block.contains("table.yaml") {
            house.home()
        } else {
            chat.path()
        };
        let own = |line: &str| match line.strip_prefix("stillwire ") {
            Some(_) => format!("{line}{to}\n"),
            None => format!("{line}\n"),
        };
        let script: String = block.lines().map(own).collect();
        let mut shell = house.tool("/bin/sh", folder);
        let programs = [
            tools::cdk("cdk-chat"),
            tools::cdk_command().parent().unwrap().to_owned(),
            tools::aws_command().parent().unwrap().to_owned(),
            tools::sam_command().parent().unwrap().to_owned(),
            std::path::Path::new(crate::support::PROGRAM).parent().unwrap().to_owned(),
        ];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = programs.into_iter().chain(std::env::split_paths(&path));
        shell.env("PATH", std::env::join_paths(paths).unwrap());
        for name in [
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        ] {
            shell.env_remove(name);
        }
        surroundings(&mut shell);
        shell.args(["-ec", &format!("{setup}{script}")]);
        run(shell).well();
        ran += 1;
    }
    assert_eq!(ran, 6, "every block");
}

/// State and caches of tests.
fn surroundings(command: &mut Command) {
    let like = Stillwire::command(crate::support::PROGRAM);
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
}
