//! What a stack's custom resources do to tables when it is created: once, not at every start.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use stillwire_deploy::SdkCall;
use stillwire_keep::StateFile;

use crate::dev::screen::Screen;
use crate::dev::tables::Tables;
use crate::report::hinted;

/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Makes the calls that were not made before. What was done is kept in `record`, so that items which an app has changed since are
/// left alone.
pub(crate) async fn make(
    calls: &[&SdkCall],
    tables: &Tables,
    record: Option<&Path>,
    screen: Screen,
) -> Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let file = StateFile::new(record.map(Path::to_owned), 1);
    let mut done: BTreeSet<String> = file.read()?;
    let stores = tables.stores();
    for call in calls.iter().filter(|call| call.service == "dynamodb") {
        if done.contains(&call.id) {
            continue;
        }
        let store = stores.store(&call.account, &call.region);
        let target = format!("DynamoDB_20120810.{}", call.action);
        let sent = store.call(&target, call.parameters.to_string().into());
        let named = format!("{} ({}) of the stack {}", call.logical_id, call.action, call.stack);
        let reply = tokio::time::timeout(CALL_MAX, sent).await;
        let reply = reply.with_context(|| format!("{named} took longer than 30 seconds"))?;
        if reply.status != 200 {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            return Err(hinted(
                format!("the custom resource {named} failed: {text}"),
                "mend its parameters; on AWS the stack would not be created",
            ));
        }
        screen.progress(&format!("{named}: done"));
        done.insert(call.id.clone());
        file.write(&done)?;
    }
    Ok(())
}
