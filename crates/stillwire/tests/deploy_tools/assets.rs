//! S3, as SDKs and the AWS CLI use it.

use serde_json::json;

use crate::support::House;

#[test]
fn objects_are_kept_as_sdks_send_them() {
    let mut house = House::new();
    let seen = house.script("assets.py", &["fill"]);
    assert_eq!(
        seen,
        json!({
            "plain": "hello", "etag": "\"5d41402abc4b2a76b9719d911017c592\"", "type": "text/plain",
            "metadata": { "who": "ada" }, "range": "ell", "parts": 12_582_912, "parts etag": true,
            "copy": "hello", "part copied": "ell", "keys": ["a/1", "a/2", "b", "copy", "large"],
            "folders": ["a/"], "page": ["a/1", "a/2"], "next": ["b", "copy"],
            "checksums": { "CRC32": true, "CRC32C": false, "SHA1": true, "SHA256": true },
            "bad digest": ["BadDigest", 400], "no key": ["NoSuchKey", 404], "no bucket": ["NoSuchBucket", 404],
            "head": 404, "not empty": ["BucketNotEmpty", 409], "once": ["PreconditionFailed", 412],
            "presigned": "hello", "staging": [], "location": null, "encryption":
            ["ServerSideEncryptionConfigurationNotFoundError", 404], "versioning": "Enabled",
            "tags": { "k": "v" }, "virtual": "hello", "other account": ["NoSuchBucket", 404],
            "deleted": ["a/1", "a/2"], "chunked": "hello chunks",
        })
    );
    house.restart();
    let seen = house.script("assets.py", &["look"]);
    assert_eq!(
        seen,
        json!({ "keys": ["b", "chunked", "copy", "large"], "plain": "hello", "large": 12_582_912 })
    );
}
