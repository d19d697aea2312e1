"""Random expressions twice: as a template writes them, and as the CDK itself resolves them where it can.

Prints a list of [raw, resolved]. Usage: cdk_values.py SEED COUNT
"""

import json
import random
import sys

from aws_cdk import App, CfnMapping, Environment, Fn, Stack

ACCOUNT, REGION = "000000000000", "us-east-1"
MAP = {"us-east-1": {"rate": "50", "name": "virginia"}, "b": {"rate": "5", "name": "x-y,z"}}
DELIMITERS = ["-", ",", "/", "", "::", "|"]
LETTERS = "ab-,/:| {}$é\"\\"

rng = random.Random(int(sys.argv[1]))
app = App(context={"@aws-cdk/core:enablePartitionLiterals": True})
stack = Stack(app, "values", env=Environment(account=ACCOUNT, region=REGION))
mapping = CfnMapping(stack, "Map", mapping=MAP, lazy=True)


def text():
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(6)))


def string(depth):
    """An expression: as the template has it, as the CDK takes it, and what it comes to."""
    kind = rng.choice(["text"] if depth == 0 else ["text", "join", "join", "select", "map", "pseudo", "sub", "arn"])
    if kind == "text":
        value = text()
        return value, value, value
    if kind == "join":
        delimiter = rng.choice(DELIMITERS)
        parts = [string(depth - 1) for _ in range(rng.randrange(1, 4))]
        raw = {"Fn::Join": [delimiter, [part[0] for part in parts]]}
        return raw, Fn.join(delimiter, [part[1] for part in parts]), delimiter.join(part[2] for part in parts)
    if kind == "select":
        raw, cdk, values = strings(depth - 1)
        index = rng.randrange(len(values))
        return {"Fn::Select": [rng.choice([index, str(index)]), raw]}, Fn.select(index, cdk), values[index]
    if kind == "map":
        first, second = rng.choice(list(MAP)), rng.choice(["rate", "name"])
        named = {"Ref": "AWS::Region"} if first == REGION and rng.random() < 0.5 else first
        raw = {"Fn::FindInMap": ["Map", named, second]}
        return raw, mapping.find_in_map(first, second), MAP[first][second]
    if kind == "pseudo":
        name, cdk, value = rng.choice([
            ("Region", stack.region, REGION),
            ("AccountId", stack.account, ACCOUNT),
            ("Partition", stack.partition, "aws"),
            ("StackName", stack.stack_name, "values"),
        ])
        return {"Ref": f"AWS::{name}"}, cdk, value
    if kind == "sub":
        # The CDK has nothing that resolves it: a text of the same parts is.
        raw, cdk, value = string(depth - 1)
        before = text().replace("$", "")
        written = before + "${!kept}${Inner}${AWS::Region}"
        return {"Fn::Sub": [written, {"Inner": raw}]}, Fn.join("", [before, "${kept}", cdk, REGION]), (
            before + "${kept}" + value + REGION
        )
    name = "n" + text().replace("/", "").replace(":", "")
    parts = ["arn:", {"Ref": "AWS::Partition"}, ":dynamodb:", {"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    cdk = stack.format_arn(service="dynamodb", resource="table", resource_name=name)
    return {"Fn::Join": ["", [*parts, f":table/{name}"]]}, cdk, f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def strings(depth):
    """The same of a list."""
    if depth > 0 and rng.random() < 0.4:
        delimiter = rng.choice([one for one in DELIMITERS if one])
        source = delimiter.join(text() for _ in range(rng.randrange(1, 4)))
        return {"Fn::Split": [delimiter, source]}, Fn.split(delimiter, source), source.split(delimiter)
    parts = [string(max(depth - 1, 0)) for _ in range(rng.randrange(1, 4))]
    return [part[0] for part in parts], [part[1] for part in parts], [part[2] for part in parts]


pairs = []
for _ in range(int(sys.argv[2])):
    raw, cdk, _ = string(rng.randrange(1, 5))
    pairs.append([raw, stack.resolve(cdk)])
json.dump({"mappings": {"Map": MAP}, "pairs": pairs}, sys.stdout)
