//! The service as the program holds it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillwire_model::{
    BoxFuture, Clock, ObjectApi, ObjectReply, ObjectRequest, PinnedObject, ServiceCaller,
    StackName, StackObjects,
};
use uuid::Uuid;

use crate::answer::Answer;
use crate::error::{Answered, Refused};
use crate::request::is_bucket_name;
use crate::route;
use crate::state::{BucketId, BucketRecord, Pin, State};
use crate::store::Store;
use crate::uploads::Uploads;

/// Buckets and objects. Clones share everything.
#[derive(Debug, Clone)]
pub struct Assets(Arc<Room>);

/// What all operations share.
#[derive(Debug)]
pub(crate) struct Room {
    state: Mutex<State>,
    pub(crate) store: Store,
    pub(crate) uploads: Uploads,
    clock: Arc<dyn Clock>,
}

impl Assets {
    /// What is kept in a folder, which is for it alone.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or a file in it is another version's; the text names it.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let store = Store::open(folder)?;
        let state = Mutex::new(store.read()?);
        Ok(Self(Arc::new(Room { state, store, uploads: Uploads::default(), clock })))
    }
}

impl ObjectApi for Assets {
    fn call(&self, request: ObjectRequest) -> BoxFuture<'static, ObjectReply> {
        let room = Arc::clone(&self.0);
        Box::pin(async move {
            let id = Uuid::new_v4().to_string();
            let (is_head, path) = (request.method == "HEAD", request.path.clone());
            let answered = route::answer(&room, request).await;
            let answer = answered.unwrap_or_else(|refused| Answer::refusal(&refused, &path, &id));
            answer.reply(&id, is_head).await
        })
    }
}

impl StackObjects for Assets {
    fn find(&self, account: &str, bucket: &str, key: &str) -> Option<PathBuf> {
        let id = BucketId { account: account.to_owned(), name: bucket.to_owned() };
        let state = self.0.state();
        let object = state.object(&id, key).ok()?;
        Some(self.0.store.content(&object.file))
    }

    fn keep_bucket(&self, account: &str, region: &str, bucket: &str) -> Result<(), String> {
        let id = BucketId { account: account.to_owned(), name: bucket.to_owned() };
        let mut state = self.0.state();
        self.0.make_bucket(&mut state, &id, region).map_err(|refused| refused.message)
    }

    fn pin(&self, stack: &StackName, objects: &[PinnedObject]) -> Result<(), String> {
        let pin = |object: &PinnedObject| {
            let file = object.file.file_name()?.to_str()?.to_owned();
            Some(Pin { bucket: object.bucket.clone(), key: object.key.clone(), file })
        };
        let pins: Vec<Pin> = objects.iter().filter_map(pin).collect();
        let mut state = self.0.state();
        let kept = self.0.store.keep_stack(stack, &pins);
        kept.map_err(|error| format!("what {stack} is made of cannot be kept: {error}"))?;
        state.pins.insert(stack.clone(), pins);
        Ok(())
    }

    fn pinned(&self, stack: &StackName) -> Vec<PinnedObject> {
        let state = self.0.state();
        let pins = state.pins.get(stack).into_iter().flatten();
        let object = |pin: &Pin| PinnedObject {
            bucket: pin.bucket.clone(),
            key: pin.key.clone(),
            file: self.0.store.content(&pin.file),
        };
        pins.map(object).collect()
    }
}

impl Room {
    /// Whoever holds it may wait for the disk, so it is not for threads that serve connections.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // It is changed only once the disk has the change, and then in one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.epoch_millis()
    }

    /// The bucket that a caller means. Those in which the CDK keeps assets are there before anybody makes them.
    pub(crate) fn meant(
        &self,
        state: &mut State,
        caller: &ServiceCaller,
        name: &str,
    ) -> Answered<BucketId> {
        let id = BucketId { account: caller.account.to_string(), name: name.to_owned() };
        if let Some(region) = region_of_staging(name)
            && !state.has(&id)
        {
            self.make_bucket(state, &id, region)?;
        }
        state.bucket(&id)?;
        Ok(id)
    }

    /// Makes a bucket unless it is there.
    pub(crate) fn make_bucket(
        &self,
        state: &mut State,
        id: &BucketId,
        region: &str,
    ) -> Answered<()> {
        if state.has(id) {
            return Ok(());
        }
        if !is_bucket_name(&id.name) {
            let message = "The specified bucket is not valid.";
            return Err(Refused::new(400, "InvalidBucketName", message));
        }
        state.check_room(1, 0, 0)?;
        let record = BucketRecord {
            account: id.account.clone(),
            name: id.name.clone(),
            region: region.to_owned(),
            created: self.now(),
            ..BucketRecord::default()
        };
        self.store.keep_bucket(&record).map_err(|error| Refused::disk(&error))?;
        state.put_bucket(record);
        Ok(())
    }
}

/// The region of a bucket in which the CDK keeps assets: `cdk-hnb659fds-assets-999999999999-us-east-1`.
///
/// Source: AWS CDK Developer Guide, "Customize bootstrapping": `cdk-QUALIFIER-assets-ACCOUNT-REGION`.
fn region_of_staging(name: &str) -> Option<&str> {
    let (qualifier, place) = name.strip_prefix("cdk-")?.split_once("-assets-")?;
    let (account, region) = place.split_once('-')?;
    let is_qualifier =
        !qualifier.is_empty() && qualifier.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_account =
        (1..=12).contains(&account.len()) && account.bytes().all(|b| b.is_ascii_digit());
    (is_qualifier && is_account && !region.is_empty()).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_buckets_of_any_qualifier_have_a_region() {
        let region = |name| region_of_staging(name);
        assert_eq!(region("cdk-hnb659fds-assets-999999999999-us-east-1"), Some("us-east-1"));
        assert_eq!(region("cdk-mine-assets-1-eu-west-1"), Some("eu-west-1"));
        for other in
            ["cdk-mine-assets-x-eu", "cdk--assets-1-eu", "my-assets-1-eu", "cdk-a-assets-1"]
        {
            assert_eq!(region(other), None, "{other}");
        }
    }
}
