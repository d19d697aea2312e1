//! The way of a request to its operation.

use std::sync::Arc;

use stillwire_model::{Content, ObjectRequest, ServiceCaller};

use crate::answer::Answer;
use crate::error::{Answered, Refused};
use crate::listing::Form;
use crate::receive::{document, receive};
use crate::request::{Headers, Place, Queried, place};
use crate::room::Room;
use crate::{buckets, documents, listing, objects, sides, uploads};

/// Sides of objects that are not served: they would be taken for the object itself.
const UNSERVED: [&str; 5] = ["retention", "legal-hold", "restore", "select", "torrent"];

/// A request without its content.
struct Asked {
    caller: ServiceCaller,
    method: String,
    queried: Queried,
    headers: Headers,
}

pub(crate) async fn answer(room: &Arc<Room>, request: ObjectRequest) -> Answered<Answer> {
    let ObjectRequest { caller, method, host, path, query, headers, body } = request;
    let Place { bucket, key } = place(&host, &path)?;
    let asked =
        Asked { caller, method, queried: Queried::read(&query), headers: Headers::new(headers) };
    match (bucket, key) {
        (None, _) => match asked.method.as_str() {
            "GET" | "HEAD" => {
                blocking(room, move |room| Ok(buckets::list(room, &asked.caller))).await
            }
            _ => Err(not_allowed()),
        },
        (Some(bucket), None) => of_bucket(room, asked, bucket, body).await,
        (Some(bucket), Some(key)) => of_object(room, asked, (bucket, key), body).await,
    }
}

/// Runs what waits for the disk where that keeps nobody waiting.
async fn blocking(
    room: &Arc<Room>,
    operation: impl FnOnce(&Room) -> Answered<Answer> + Send + 'static,
) -> Answered<Answer> {
    let room = Arc::clone(room);
    let running = tokio::task::spawn_blocking(move || operation(&room));
    running.await.unwrap_or_else(|error| Err(Refused::disk(&std::io::Error::other(error))))
}

async fn of_bucket(
    room: &Arc<Room>,
    asked: Asked,
    bucket: String,
    body: Box<dyn Content>,
) -> Answered<Answer> {
    let Asked { caller, method, queried, headers: _ } = asked;
    let side = queried.side(&sides::NAMES);
    let body = match method.as_str() {
        "PUT" | "POST" => document(body).await?,
        _ => String::new(),
    };
    blocking(room, move |room| {
        if method == "PUT" && side.is_none() {
            return buckets::create(room, &caller, &bucket, &body);
        }
        let id = room.meant(&mut room.state(), &caller, &bucket)?;
        match (method.as_str(), side) {
            ("HEAD", _) => buckets::head(room, &id),
            ("GET", Some(side)) => sides::get(room, &id, side),
            ("PUT", Some(side)) => sides::put(room, &id, side, body),
            ("DELETE", Some(side)) => sides::delete(room, &id, side),
            ("DELETE", None) => buckets::delete(room, &id),
            ("POST", None) if queried.has("delete") => objects::delete_all(room, &id, &body),
            ("GET", None) if queried.has("location") => sides::location(room, &id),
            ("GET", None) if queried.has("uploads") => uploads::list(room, &id),
            ("GET", None) => {
                let form = if queried.has("versions") {
                    Form::Versions
                } else if queried.get("list-type") == Some("2") {
                    Form::V2
                } else {
                    Form::V1
                };
                listing::list(room, &id, &queried, form)
            }
            _ => Err(not_allowed()),
        }
    })
    .await
}

async fn of_object(
    room: &Arc<Room>,
    asked: Asked,
    (bucket, key): (String, String),
    body: Box<dyn Content>,
) -> Answered<Answer> {
    let Asked { caller, method, queried, headers } = asked;
    if let Some(side) = queried.side(&UNSERVED) {
        return Err(Refused::not_implemented(side));
    }
    let part = uploads::part_of(&queried)?;
    let id = {
        let (caller, room) = (caller.clone(), Arc::clone(room));
        let finding = move || room.meant(&mut room.state(), &caller, &bucket);
        let found = tokio::task::spawn_blocking(finding).await;
        found.map_err(|error| Refused::disk(&std::io::Error::other(error)))??
    };
    let source = headers.get("x-amz-copy-source").map(str::to_owned);
    let is_content = method == "PUT" && !queried.has("tagging") && !queried.has("acl");
    if is_content && source.is_none() {
        let received = receive(&headers, body, room.store.incoming()).await?;
        return blocking(room, move |room| match &part {
            Some((number, upload)) => {
                uploads::put_part(room, (&id, &key), (*number, upload), received)
            }
            None => objects::put(room, (&id, &key), &headers, received),
        })
        .await;
    }
    let body = match method.as_str() {
        "PUT" | "POST" => document(body).await?,
        _ => String::new(),
    };
    blocking(room, move |room| {
        let upload = queried.get("uploadId");
        match (method.as_str(), upload) {
            ("PUT", Some(_)) => {
                let source = source.unwrap_or_default();
                uploads::copy_part(room, &caller, (&id, &key), part.as_ref(), (&source, &headers))
            }
            ("PUT", None) if queried.has("tagging") => {
                objects::set_tags(room, &id, &key, documents::tags(&body)?)
            }
            ("PUT", None) if queried.has("acl") => Ok(Answer::empty(200)),
            ("PUT", None) => {
                let source = source.unwrap_or_default();
                objects::copy(room, &caller, (&id, &key), (&source, &headers))
            }
            ("POST", None) if queried.has("uploads") => uploads::create(room, &id, &key, &headers),
            ("POST", Some(upload)) => {
                uploads::complete(room, (&id, &key), upload, (&headers, &body))
            }
            ("DELETE", Some(upload)) => uploads::abort(room, (&id, &key), upload),
            ("DELETE", None) if queried.has("tagging") => {
                objects::set_tags(room, &id, &key, std::collections::BTreeMap::new())
            }
            ("DELETE", None) => objects::delete(room, &id, &key),
            ("GET", Some(upload)) => uploads::list_parts(room, (&id, &key), upload),
            ("GET", None) if queried.has("tagging") => objects::tags(room, &id, &key),
            ("GET", None) if queried.has("acl") => objects::acl(room, &id, &key),
            ("GET", None) if queried.has("attributes") => objects::attributes(room, &id, &key),
            ("GET" | "HEAD", None) => objects::get(room, &id, &key, &headers),
            _ => Err(not_allowed()),
        }
    })
    .await
}

fn not_allowed() -> Refused {
    let message = "The specified method is not allowed against this resource.";
    Refused::new(405, "MethodNotAllowed", message)
}
