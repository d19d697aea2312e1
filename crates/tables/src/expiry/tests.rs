//! What is due, what is removed, and the list that knows it.

use dynoxide::Database;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::durability::Durability;

const NOW: u64 = 1_800_000_000;

fn parsed<T: serde::de::DeserializeOwned>(request: Value) -> T {
    serde_json::from_value(request).unwrap()
}

fn store() -> (TempDir, Database, Backroom) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tables.db");
    let database = Database::new(&file.to_string_lossy()).unwrap();
    create(&database);
    time_to_live(&database, "due", true);
    let backroom = Backroom::open(&file, Durability::Commit).unwrap();
    (folder, database, backroom)
}

fn create(database: &Database) {
    let create = json!({
        "TableName": "Chat", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
    });
    database.create_table(parsed(create)).unwrap();
}

/// An item that is due then, or has a text instead of a time.
fn put(database: &Database, id: &str, due: &str) {
    let kind = if due.starts_with("no") { "S" } else { "N" };
    let item = json!({ "id": { "S": id }, "room": { "S": "lobby" }, "due": { kind: due } });
    database.put_item(parsed(json!({ "TableName": "Chat", "Item": item }))).unwrap();
}

fn count(database: &Database, index: Option<&str>) -> usize {
    let mut request = json!({ "TableName": "Chat" });
    if let Some(index) = index {
        request["IndexName"] = index.into();
    }
    database.scan(parsed(request)).unwrap().count
}

/// Many items at once, as the engine keeps them: `item 0000` is due at that time, and each other a second later.
fn put_many(backroom: &Backroom, count: i64, due: i64) {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
         INSERT INTO \"Chat\" (pk, sk, item_json, item_size) \
         SELECT format('S:item %04d', i), '', json_object('id', json_object('S', format('item %04d', i)), \
            'due', json_object('N', CAST(?2 + i AS TEXT))), 40 FROM n";
    let put = |storage: &Storage| Ok(storage.conn().execute(sql, [count, due])?);
    assert_eq!(i64::try_from(backroom.write(put).unwrap()), Ok(count));
}

fn remove(database: &Database, id: &str) {
    let key = json!({ "id": { "S": id } });
    database.delete_item(parsed(json!({ "TableName": "Chat", "Key": key }))).unwrap();
}

fn time_to_live(database: &Database, attribute: &str, enabled: bool) {
    let due = json!({ "Enabled": enabled, "AttributeName": attribute });
    let due = json!({ "TableName": "Chat", "TimeToLiveSpecification": due });
    database.update_time_to_live(parsed(due)).unwrap();
}

fn table(backroom: &Backroom) -> Table {
    backroom.read(tables).unwrap().remove(0)
}

/// When items are due, and their keys.
type Entries = Vec<(i64, String)>;

/// What the list has, and what it should have: both in order. The list is there.
fn listed(backroom: &Backroom) -> (Entries, Entries) {
    let table = table(backroom);
    let all = |sql: &str| {
        backroom
            .read(|connection| {
                let mut rows = connection.prepare(sql)?;
                rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .unwrap()
    };
    let (list, due) = (due::list(&table.name), table.due("item_json"));
    let is = all(&format!("SELECT due, pk FROM {list} ORDER BY due, pk"));
    let rows = table.rows();
    (is, all(&format!("SELECT {due}, pk FROM {rows} WHERE {due} IS NOT NULL ORDER BY 1, 2")))
}

#[test]
fn a_list_is_made_in_steps_and_true_whatever_is_written_meanwhile() {
    let (_folder, database, backroom) = store();
    put_many(&backroom, 1000, 2_000_000_000);
    let seen = table(&backroom);
    backroom.write(|storage| due::make(storage.conn(), &seen)).unwrap();
    let (mut steps, mut done) = (0, false);
    while !done {
        let before = listed(&backroom).0.len();
        done = backroom.write(|storage| due::fill(storage.conn(), &seen)).unwrap();
        assert!(listed(&backroom).0.len() <= before + due::STEP, "a step is small");
        // Of those that are in it, and those that are not yet: changed, left without a time, removed, added.
        for at in [steps, 999 - steps] {
            put(&database, &format!("item {at:04}"), &(2_100_000_000 + at).to_string());
            put(&database, &format!("item {:04}", (at + 100) % 1000), "no number");
            remove(&database, &format!("item {:04}", (at + 200) % 1000));
            put(&database, &format!("new {at}"), "1999999999");
        }
        steps += 1;
    }
    assert!(steps >= 5, "{steps}");
    let (is, should_be) = listed(&backroom);
    assert_eq!(is, should_be);
    assert!(is.len() > 900, "{}", is.len());
}

#[test]
fn a_list_ends_with_its_time_to_live_or_its_table_and_another_is_made() {
    let (_folder, database, backroom) = store();
    let swept = || sweep(&backroom, NOW, |error| panic!("{error}"));
    let lists = || -> u32 {
        let sql = "SELECT count(*) FROM sqlite_master WHERE name LIKE 'stillwire due %'";
        backroom.read(|connection| connection.query_row(sql, [], |row| row.get(0))).unwrap()
    };
    // A busy machine may need several sweeps.
    let sweep_until = |done: &dyn Fn(&[String]) -> bool| {
        assert!((0..200).any(|_| done(&swept())), "it comes to no end");
    };
    // More than is removed in one step.
    put_many(&backroom, 1500, 1_900_000_000);
    sweep_until(&|_| listed(&backroom).0.len() == 1500);
    assert_eq!(lists(), 5, "the list, and four that keep it");
    time_to_live(&database, "due", false);
    sweep_until(&|_| lists() == 0);
    put(&database, "b", "1900000000");
    // Another attribute.
    time_to_live(&database, "until", true);
    sweep_until(&|_| lists() == 5);
    assert_eq!(listed(&backroom), (vec![], vec![]));
    time_to_live(&database, "until", false);
    time_to_live(&database, "due", true);
    sweep_until(&|_| listed(&backroom).0.len() == 1501);
    let (is, should_be) = listed(&backroom);
    assert_eq!(is, should_be);
    // Another table of its name, before anybody saw that the first was gone.
    database.delete_table(parsed(json!({ "TableName": "Chat" }))).unwrap();
    create(&database);
    time_to_live(&database, "due", true);
    put(&database, "c", "1799999999");
    put(&database, "d", "1900000000");
    sweep_until(&|swept| swept == ["Chat"]);
    let (is, should_be) = listed(&backroom);
    assert_eq!((is.len(), is), (1, should_be));
    database.delete_table(parsed(json!({ "TableName": "Chat" }))).unwrap();
    sweep_until(&|_| lists() == 0);
}

#[test]
fn an_index_that_came_meanwhile_loses_the_item_too() {
    let (_folder, database, backroom) = store();
    put(&database, "a", "1799999999");
    let seen = backroom.read(tables).unwrap().remove(0);
    due::keep(&backroom, &seen).unwrap();
    let update = json!({
        "TableName": "Chat",
        "AttributeDefinitions": [
            { "AttributeName": "id", "AttributeType": "S" },
            { "AttributeName": "room", "AttributeType": "S" },
        ],
        "GlobalSecondaryIndexUpdates": [{ "Create": {
            "IndexName": "rooms", "KeySchema": [{ "AttributeName": "room", "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "ALL" },
        }}],
    });
    database.update_table(parsed(update)).unwrap();
    assert_eq!(count(&database, Some("rooms")), 1);
    let now = i64::try_from(NOW).unwrap();
    // A batch may end early where the machine is busy.
    let (mut removed, mut next) = (0, Some(Place::default()));
    while let Some(place) = next {
        let (count, after) = batch(&backroom, &seen, now, &place).unwrap();
        removed += count;
        next = after;
    }
    assert_eq!(removed, 1);
    assert_eq!((count(&database, None), count(&database, Some("rooms"))), (0, 0));
}

#[test]
fn fractions_of_a_second_do_not_hide_what_is_due_in_it() {
    let (_folder, database, backroom) = store();
    for number in 0..3 * BATCH {
        put(&database, &format!("stays {number}"), "1799999999.5");
    }
    put(&database, "goes", "1799999999");
    assert_eq!(sweep(&backroom, NOW, |error| panic!("{error}")), ["Chat"]);
    assert_eq!(count(&database, None), 3 * BATCH);
}

#[test]
fn a_table_that_is_broken_keeps_no_other_from_expiry() {
    let (_folder, database, backroom) = store();
    put(&database, "a", "1799999999");
    backroom
        .write(|storage| {
            // A table that was half deleted when the power went. It comes before the other.
            storage.conn().execute_batch(
                "INSERT INTO _tables (table_name, key_schema, attribute_definitions, created_at, \
                 ttl_enabled, ttl_attribute) VALUES ('Broken', '[]', '[]', 0, 1, 'due'); \
                 UPDATE _tables SET rowid = -1 WHERE table_name = 'Broken'",
            )?;
            Ok(())
        })
        .unwrap();
    let mut failures = 0;
    assert_eq!(sweep(&backroom, NOW, |_| failures += 1), ["Chat"]);
    assert_eq!((failures, count(&database, None)), (1, 0));
}
