//! The S3 API, as far as deploy tools keep their assets with it: code of functions, templates.
//!
//! | file | what it does |
//! | --- | --- |
//! | `request`, `route` | a request from host and path to its operation |
//! | `buckets`, `sides` | buckets, and what is said about them |
//! | `objects`, `listing`, `uploads` | objects; lists a page at a time; contents that come in parts |
//! | `receive`, `chunked`, `checksum` | a content on its way to the disk |
//! | `store`, `state` | what is kept, and what is known of it |
//! | `answer`, `error` | what callers get |
//!
//! An object is there with all its content, on the disk, or not at all. What callers say never becomes a path. Buckets belong
//! to accounts, and those in which the CDK keeps assets are there before anybody makes them. There are no old versions, no
//! policies and no lifecycles: what is said about those is kept, and means nothing.
//!
//! Source: service model `s3` 2006-03-01, Amazon S3 API Reference.

mod answer;
mod buckets;
mod checksum;
mod chunked;
mod documents;
mod error;
mod limits;
mod listing;
mod objects;
mod receive;
mod request;
mod room;
mod route;
mod sides;
mod state;
mod store;
mod uploads;

pub use room::Assets;
