//! Objects as they arrive, and as they do not.

#![allow(missing_docs, reason = "tests are named by the behaviour they check")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test says what went wrong by panicking"
)]

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use stillwire_assets::Assets;
use stillwire_model::{
    Clock, Content, ObjectApi as _, ObjectRequest, PinnedObject, ServiceCaller, StackName,
    StackObjects as _,
};

const ACCOUNT: &str = "999999999999";

/// The time stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn epoch_millis(&self) -> u64 {
        1_700_000_000_000
    }
}

/// A content that comes in these pieces, and then ends, well or not.
#[derive(Debug)]
struct Pieces(Vec<&'static [u8]>, bool);

impl Content for Pieces {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(match (self.0.is_empty(), self.1) {
            (false, _) => Some(Ok(Bytes::from_static(self.0.remove(0)))),
            (true, true) => None,
            (true, false) => Some(Err(io::ErrorKind::ConnectionReset.into())),
        })
    }
}

fn open(folder: &Path) -> Assets {
    Assets::open(folder, Arc::new(Still)).unwrap()
}

/// Sends a request; its status and its body.
async fn send(
    assets: &Assets,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: Pieces,
) -> (u16, String) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = ObjectRequest {
        caller: ServiceCaller {
            account: ACCOUNT.into(),
            region: "us-east-1".into(),
            access_key: ACCOUNT.to_owned(),
            function: None,
        },
        method: method.to_owned(),
        host: "127.0.0.1:7799".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        body: Box::new(body),
    };
    let mut reply = assets.call(request).await;
    let mut text = Vec::new();
    while let Some(piece) = poll_fn(|cx| reply.body.poll_next(cx)).await {
        text.extend_from_slice(&piece.unwrap());
    }
    (reply.status, String::from_utf8(text).unwrap())
}

fn nothing() -> Pieces {
    Pieces(Vec::new(), true)
}

async fn get(assets: &Assets, path: &str) -> (u16, String) {
    send(assets, ("GET", path), &[], nothing()).await
}

async fn with_bucket(folder: &Path) -> Assets {
    let assets = open(folder);
    assert_eq!(send(&assets, ("PUT", "/code"), &[], nothing()).await.0, 200);
    assets
}

#[tokio::test]
async fn an_object_whose_content_is_not_what_was_promised_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let assets = with_bucket(folder.path()).await;
    let chunked = ("content-encoding", "aws-chunked");
    for (headers, body, code) in [
        (vec![("content-length", "5")], Pieces(vec![b"hell"], true), "IncompleteBody"),
        (vec![("content-length", "5")], Pieces(vec![b"hello", b"!"], true), "IncompleteBody"),
        (vec![], Pieces(vec![b"hello"], false), "IncompleteBody"),
        (vec![("content-length", "x")], Pieces(vec![b"hello"], true), "InvalidArgument"),
        (vec![("content-length", "9999999999999")], Pieces(vec![b"h"], true), "EntityTooLarge"),
        (vec![("content-md5", "AAAA")], Pieces(vec![b"hello"], true), "BadDigest"),
        (vec![("x-amz-checksum-crc32", "AAAA")], Pieces(vec![b"hello"], true), "BadDigest"),
        (
            vec![("x-amz-content-sha256", &*Box::leak("0".repeat(64).into_boxed_str()))],
            Pieces(vec![b"hello"], true),
            "XAmzContentSHA256Mismatch",
        ),
        (vec![chunked], Pieces(vec![b"5\r\nhel"], true), "IncompleteBody"),
        (vec![chunked], Pieces(vec![b"hello"], true), "IncompleteBody"),
        (vec![chunked], Pieces(vec![b"5;\r\nhello\r\nzz\r\n"], true), "InvalidRequest"),
    ] {
        let (status, text) = send(&assets, ("PUT", "/code/k"), &headers, body).await;
        assert!(
            status == 400 && text.contains(&format!("<Code>{code}</Code>")),
            "{headers:?}: {text}"
        );
        assert_eq!(get(&assets, "/code/k").await.0, 404, "{headers:?}");
        assert_eq!(assets.find(ACCOUNT, "code", "k"), None);
    }
    let left = std::fs::read_dir(folder.path().join("contents")).unwrap().count();
    let coming = std::fs::read_dir(folder.path().join("incoming")).unwrap().count();
    assert_eq!((left, coming), (0, 0), "nothing of it is left");
}

#[tokio::test]
async fn whatever_a_key_is_its_content_stays_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("store");
    std::fs::create_dir(&inner).unwrap();
    let assets = with_bucket(&inner).await;
    for key in
        ["../../out", "%2e%2e/%2e%2e/out", "/etc/passwd", "a%00b", "..", "a/../b", "%F0%9F%A6%80"]
    {
        let path = format!("/code/{key}");
        let put = send(&assets, ("PUT", &path), &[], Pieces(vec![b"x"], true)).await;
        assert_eq!(put.0, 200, "{key}: {}", put.1);
        assert_eq!(get(&assets, &path).await, (200, "x".to_owned()), "{key}");
    }
    let around: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(around.len(), 1, "{around:?}");
    let file = assets.find(ACCOUNT, "code", "../../out").unwrap();
    assert!(file.starts_with(&inner), "{}", file.display());
    for bucket in ["..", "../x", "A", "a"] {
        let made =
            send(&assets, ("PUT", &format!("/{}", bucket.replace('/', "%2F"))), &[], nothing())
                .await;
        assert_eq!(made.0, 400, "{bucket}: {}", made.1);
    }
}

#[tokio::test]
async fn what_is_written_over_or_removed_stays_for_this_run_and_goes_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let assets = with_bucket(folder.path()).await;
    let put =
        |body: &'static [u8]| send(&assets, ("PUT", "/code/k"), &[], Pieces(vec![body], true));
    put(b"one").await;
    let first = assets.find(ACCOUNT, "code", "k").unwrap();
    put(b"two").await;
    let second = assets.find(ACCOUNT, "code", "k").unwrap();
    // What runs may be made of it.
    assert_eq!(std::fs::read(&first).unwrap(), b"one");
    assert_eq!(std::fs::read(&second).unwrap(), b"two");
    drop(assets);
    let assets = open(folder.path());
    assert!(!first.exists());
    assert_eq!(get(&assets, "/code/k").await, (200, "two".to_owned()));
    assert_eq!(send(&assets, ("DELETE", "/code/k"), &[], nothing()).await.0, 204);
    assert_eq!(get(&assets, "/code/k").await.0, 404);
    assert!(second.exists());
    drop(assets);
    open(folder.path());
    assert!(!second.exists());
}

#[tokio::test]
async fn parts_become_an_object_once_all_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let assets = with_bucket(folder.path()).await;
    let (_, begun) = send(&assets, ("POST", "/code/k?uploads"), &[], nothing()).await;
    let id = begun.split("<UploadId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    for (number, body) in [(2, &b"world"[..]), (1, b"hello ")] {
        let path = format!("/code/k?partNumber={number}&uploadId={id}");
        assert_eq!(send(&assets, ("PUT", &path), &[], Pieces(vec![body], true)).await.0, 200);
    }
    let part = |number: u32, etag: &str| {
        format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
    };
    let (one, two) =
        (part(1, "f814893777bcc2295fff05f00e508da6"), part(2, "7d793037a0760186574b0282f2f435e7"));
    let complete = format!("/code/k?uploadId={id}");
    for (parts, code) in [
        (format!("{two}{one}"), "InvalidPartOrder"),
        (part(3, "x"), "InvalidPart"),
        (String::new(), "MalformedXML"),
    ] {
        let body = Box::leak(format!("<C>{parts}</C>").into_bytes().into_boxed_slice());
        let (status, text) =
            send(&assets, ("POST", &complete), &[], Pieces(vec![body], true)).await;
        assert!(status == 400 && text.contains(code), "{text}");
    }
    let body = Box::leak(format!("<C>{one}{two}</C>").into_bytes().into_boxed_slice());
    let (status, text) = send(&assets, ("POST", &complete), &[], Pieces(vec![body], true)).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(get(&assets, "/code/k").await, (200, "hello world".to_owned()));
    let again = send(&assets, ("POST", &complete), &[], Pieces(vec![body], true)).await;
    assert_eq!(again.0, 404, "{}", again.1);
}

#[tokio::test]
async fn what_a_stack_is_made_of_stays_as_long_as_the_stack() {
    let folder = tempfile::tempdir().unwrap();
    let assets = with_bucket(folder.path()).await;
    send(&assets, ("PUT", "/code/k"), &[], Pieces(vec![b"one"], true)).await;
    let [account, region, name] = [ACCOUNT, "us-east-1", "chat"].map(Into::into);
    let stack = StackName { account, region, name };
    let file = assets.find(ACCOUNT, "code", "k").unwrap();
    let pinned = [PinnedObject { bucket: "code".to_owned(), key: "k".to_owned(), file }];
    assets.pin(&stack, &pinned).unwrap();
    send(&assets, ("PUT", "/code/k"), &[], Pieces(vec![b"two"], true)).await;
    drop(assets);

    let assets = open(folder.path());
    assert_eq!(assets.pinned(&stack), pinned);
    assert_eq!(std::fs::read(&pinned[0].file).unwrap(), b"one");
    assert_eq!(get(&assets, "/code/k").await, (200, "two".to_owned()));
    assets.pin(&stack, &[]).unwrap();
    drop(assets);
    open(folder.path());
    assert!(!pinned[0].file.exists());
}
