//! From what an app is described in to the model: a CDK app, a cloud assembly, a CloudFormation or SAM template, a service
//! of the Serverless Framework, a plan or state of Terraform. All become templates, which are resolved in one way.
//!
//! * [`Input::find`] says what a path names.
//! * [`synthesize`] runs a CDK app and gives its assembly; [`bundle`] stands in for Docker meanwhile.
//! * [`load()`] reads an assembly or template, resolves its functions and gives a [`Loaded`]: the app, a row for
//!   every resource, and notices.
//! * [`package()`] reads an app as it is sent to be deployed elsewhere.
//! * [`build_api`] reads an API that no template declares, in the same way.
//! * [`rewrite_addresses`] points the app's addresses at us.
//!
//! Start reading in `load.rs`, then `assembly.rs`, `macros.rs`, `resolver.rs` and `resources/`; `framework.rs` and `terraform.rs`
//! write templates. Nothing here runs an app or
//! opens a socket; the only process ever started is the one that synthesizes. A load either gives a whole app
//! or all the problems that were found, each with file, line, logical id and property.

mod address;
mod assembly;
mod assets;
pub mod bundle;
mod bundle_record;
mod conditions;
mod definition;
mod dynamic;
mod framework;
mod input;
mod intrinsics;
mod load;
mod macros;
mod node;
mod package;
mod parameter_file;
mod parameters;
mod physical;
mod problem;
mod reading;
mod report;
mod resolver;
mod resources;
mod rsync;
mod samconfig;
mod select;
mod source;
mod store;
mod synth;
mod template;
mod terraform;
mod values;

pub use address::rewrite_addresses;
pub use assembly::StackSource;
pub use assets::Objects;
pub use definition::build_api;
pub use input::{Assembly, CdkApp, FindError, Input};
pub use load::{LoadOptions, Loaded, load, load_stacks};
pub use node::Position;
pub use package::{Package, Upload, UploadContent, files_of, package};
pub use problem::{Location, Problem, Problems};
pub use reading::{LoadedStack, summarize};
pub use report::{Action, Notice, Properties, ResourceRow, SdkCall, Severity};
pub use rsync::RsyncError;
pub use source::{fingerprint, is_source_folder};
pub use synth::{Progress, SynthError, SynthOptions, Told, synthesize};
