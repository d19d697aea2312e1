//! Buckets: made, listed and removed.

use stillwire_awswire::{Xml, iso_millis};
use stillwire_model::ServiceCaller;

use crate::answer::Answer;
use crate::documents;
use crate::error::{Answered, Refused};
use crate::room::Room;
use crate::state::BucketId;

/// Source: service model `s3`.
pub(crate) const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

pub(crate) fn list(room: &Room, caller: &ServiceCaller) -> Answer {
    let state = room.state();
    Answer::xml(Xml::document("ListAllMyBucketsResult", NAMESPACE, |xml| {
        xml.node("Owner", |xml| _ = xml.text("ID", &*caller.account));
        xml.node("Buckets", |xml| {
            for bucket in state.buckets_of(&caller.account) {
                xml.node("Bucket", |xml| {
                    xml.text("Name", &bucket.record.name);
                    xml.text("CreationDate", iso_millis(bucket.record.created));
                    xml.text("BucketRegion", &bucket.record.region);
                });
            }
        });
    }))
}

pub(crate) fn create(
    room: &Room,
    caller: &ServiceCaller,
    name: &str,
    body: &str,
) -> Answered<Answer> {
    let region = documents::location(body)?.unwrap_or_else(|| caller.region.to_string());
    let id = BucketId { account: caller.account.to_string(), name: name.to_owned() };
    let mut state = room.state();
    // Source: `CreateBucket`: in us-east-1 one's own bucket is made again without a word.
    if state.has(&id) && region != "us-east-1" {
        let message =
            "Your previous request to create the named bucket succeeded and you already own it.";
        return Err(Refused::new(409, "BucketAlreadyOwnedByYou", message));
    }
    room.make_bucket(&mut state, &id, &region)?;
    Ok(Answer::empty(200).with("location", format!("/{name}")))
}

pub(crate) fn head(room: &Room, id: &BucketId) -> Answered<Answer> {
    let state = room.state();
    let region = &state.bucket(id)?.record.region;
    Ok(Answer::empty(200).with("x-amz-bucket-region", region))
}

pub(crate) fn delete(room: &Room, id: &BucketId) -> Answered<Answer> {
    let mut state = room.state();
    if !state.bucket(id)?.objects.is_empty() {
        let message = "The bucket you tried to delete is not empty";
        return Err(Refused::new(409, "BucketNotEmpty", message));
    }
    room.store.remove_bucket(id).map_err(|error| Refused::disk(&error))?;
    state.remove_bucket(id);
    Ok(Answer::empty(204))
}
