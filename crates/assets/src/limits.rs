//! What the store takes at most.

use std::time::Duration;

/// The largest object, in bytes.
///
/// Choice: S3 takes 5 TB; the largest asset here is the code of a function, 250 MB unpacked.
pub(crate) const OBJECT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// What all objects may have together, in bytes.
///
/// Choice: a disk that is full stops more than deployments.
pub(crate) const STORE_BYTES_MAX: u64 = 20 * 1024 * 1024 * 1024;

/// Objects of all buckets. Choice: what is known of each is held in memory.
pub(crate) const OBJECTS_MAX: usize = 100_000;

/// Buckets of all accounts. Choice: an account has a few.
pub(crate) const BUCKETS_MAX: usize = 1000;

/// The longest key, in bytes. Source: Amazon S3 User Guide, "Naming Amazon S3 objects".
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// All of an object's own metadata, in bytes. Source: Amazon S3 User Guide, "Working with object metadata" (2 KB).
pub(crate) const METADATA_BYTES_MAX: usize = 2 * 1024;

/// The largest body that is no content, in bytes: a list of a thousand keys to delete is the largest sensible one.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Uploads in parts that may be under way. Choice: a deploy tool has a few at once.
pub(crate) const UPLOADS_MAX: usize = 200;

/// How long an upload in parts may rest before another may take its place. Choice.
pub(crate) const UPLOAD_REST_MAX: Duration = Duration::from_hours(1);

/// Parts of one upload. Source: Amazon S3 User Guide, "Multipart upload limits".
pub(crate) const PARTS_MAX: u32 = 10_000;

/// The most that one page of a list holds. Source: `ListObjectsV2`, `MaxKeys`.
pub(crate) const PAGE_MAX: usize = 1000;

/// How long the next piece of a content may take.
pub(crate) const PIECE_TIMEOUT: Duration = Duration::from_mins(1);

/// Pieces of a content that may wait for the disk.
pub(crate) const PIECES_WAITING: usize = 8;
