//! `aws_dynamodb_table`: keys and indexes.

use serde_json::{Value, json};

use super::document::Instance;
use super::special::taken;

/// Adds the properties of a table that are no attributes of their own.
pub(super) fn properties(instance: &Instance, set: &mut dyn FnMut(&str, Value)) {
    let keys = |block: &Value| {
        let key = |name: &str, kind: &str| {
            let name = block.get(name)?.as_str().filter(|name| !name.is_empty())?;
            Some(json!({ "AttributeName": name, "KeyType": kind }))
        };
        [key("hash_key", "HASH"), key("range_key", "RANGE")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let blocks = |name: &str| {
        instance.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().to_vec()
    };
    let attributes = blocks("attribute");
    let attributes = attributes
        .iter()
        .map(|block| taken(block, &[("name", "AttributeName"), ("type", "AttributeType")]));
    set("AttributeDefinitions", attributes.collect::<Vec<_>>().into());
    set("KeySchema", keys(&instance.values).into());
    let provisioned = instance.text("billing_mode") != Some("PAY_PER_REQUEST");
    let throughput = |block: &Value| {
        let names =
            [("read_capacity", "ReadCapacityUnits"), ("write_capacity", "WriteCapacityUnits")];
        Value::from(taken(block, &names))
    };
    if provisioned {
        set("ProvisionedThroughput", throughput(&instance.values));
    }
    for (ours, theirs) in [
        ("global_secondary_index", "GlobalSecondaryIndexes"),
        ("local_secondary_index", "LocalSecondaryIndexes"),
    ] {
        let declared = blocks(ours);
        let indexes = declared.iter().map(|block| {
            let mut key = keys(block);
            if ours.starts_with("local") {
                // A local index has the table's hash key.
                key.splice(0..0, keys(&instance.values).into_iter().take(1));
            }
            let mut index = taken(block, &[("name", "IndexName")]);
            let names =
                [("projection_type", "ProjectionType"), ("non_key_attributes", "NonKeyAttributes")];
            let mut projection = taken(block, &names);
            projection.retain(|_, value| value.as_array().is_none_or(|all| !all.is_empty()));
            index.insert("KeySchema".to_owned(), key.into());
            index.insert("Projection".to_owned(), projection.into());
            if provisioned && ours.starts_with("global") {
                index.insert("ProvisionedThroughput".to_owned(), throughput(block));
            }
            Value::from(index)
        });
        let indexes: Vec<Value> = indexes.collect();
        if !indexes.is_empty() {
            set(theirs, indexes.into());
        }
    }
    if instance.get("stream_enabled") == Some(&Value::Bool(true)) {
        set("StreamSpecification", json!({ "StreamViewType": instance.get("stream_view_type") }));
    }
    if let Some(ttl) = instance.block("ttl")
        && ttl.get("enabled") == Some(&Value::Bool(true))
    {
        set(
            "TimeToLiveSpecification",
            json!({ "Enabled": true, "AttributeName": ttl.get("attribute_name") }),
        );
    }
    // With those of the provider, where it has some.
    let tags = ["tags_all", "tags"].into_iter().find_map(|name| instance.get(name)?.as_object());
    let tags = tags.into_iter().flatten().map(|(key, value)| json!({ "Key": key, "Value": value }));
    let tags: Vec<Value> = tags.collect();
    if !tags.is_empty() {
        set("Tags", tags.into());
    }
}
