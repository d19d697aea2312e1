//! `AWS::Lambda::Function`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stillwire_model::{
    Code, Function, FunctionArn, LATEST, Logging, Runtime, check_variable_name, limits,
};

use super::{Piece, layer};
use crate::assets::tidy;
use crate::node::{Node, Value};
use crate::resolver::Resolver;
use crate::source::Sources;

/// The ARN of a function that a template declares.
pub(crate) fn arn(resolver: &Resolver<'_>, piece: &Piece<'_>) -> String {
    let scope = &resolver.unit(piece.unit).scope;
    let name =
        piece.text("FunctionName").unwrap_or_else(|| crate::physical::name(scope, piece.id, 64));
    scope.function_arn(&name)
}

/// Builds a function; `None` when it has problems, which are in the resolver's list.
pub(super) fn build(
    resolver: &mut Resolver<'_>,
    sources: &mut Sources,
    piece: &Piece<'_>,
    layers: &BTreeMap<String, Code>,
) -> Option<Function> {
    piece.properties.as_ref()?;
    let before = resolver.problems.len();
    let arn = arn(resolver, piece);
    let arn = match FunctionArn::parse(&arn) {
        Ok((arn, _)) => arn,
        Err(error) => {
            piece.fail(resolver, "FunctionName", error.to_string());
            return None;
        }
    };
    let image = piece.text("PackageType").as_deref() == Some("Image")
        || piece.get("Code").is_some_and(|code| code.get("ImageUri").is_some());
    let runtime = runtime(resolver, piece, image)?;
    let handler = handler(resolver, piece, image, &runtime);
    let memory = number(
        resolver,
        piece,
        "MemorySize",
        limits::FUNCTION_MEMORY_MB,
        limits::FUNCTION_MEMORY_MB_RANGE,
    );
    let timeout = {
        let max = u32::try_from(limits::FUNCTION_TIMEOUT_MAX.as_secs()).unwrap_or(u32::MAX);
        let default = u32::try_from(limits::FUNCTION_TIMEOUT.as_secs()).unwrap_or(u32::MAX);
        number(resolver, piece, "Timeout", default, 1..=max)
    };
    let reserved = piece
        .get("ReservedConcurrentExecutions")
        .map(|_| number(resolver, piece, "ReservedConcurrentExecutions", 0, 0..=u32::MAX));
    // Choice: the service snapshots published versions only; here all invocations begin alike.
    let snap_start = piece
        .get("SnapStart")
        .and_then(|settings| settings.get("ApplyOn")?.as_text())
        .is_some_and(|on| on == "PublishedVersions");
    let environment = environment(resolver, piece);
    let code = code(resolver, sources, piece, &runtime, &handler);
    let layers = layer::of(resolver, piece, layers);
    let logging = logging(piece);
    if piece.get("Architectures").and_then(Node::as_list).is_some_and(|list| {
        list.iter().any(|one| one.as_text().is_some_and(|name| !is_this_machine(name)))
    }) {
        let text = format!("it runs on this machine's architecture ({})", std::env::consts::ARCH);
        piece.inform(resolver, "Architectures", text);
    }
    for (property, text) in [("FileSystemConfigs", "file systems are not mounted here")] {
        if piece
            .get(property)
            .is_some_and(|node| node.as_list().is_none_or(|items| !items.is_empty()))
        {
            piece.warn(resolver, property, text);
        }
    }
    if resolver.problems.len() > before {
        return None;
    }
    Some(Function {
        stack: Arc::from(resolver.unit(piece.unit).scope.stack.as_str()),
        logical_id: Arc::from(piece.id),
        arn,
        version: LATEST.into(),
        role: piece.text("Role").unwrap_or_default().into(),
        runtime,
        handler,
        code: code?,
        layers,
        environment,
        logging,
        memory_mb: memory,
        timeout: Duration::from_secs(timeout.into()),
        reserved_concurrency: reserved,
        snap_start,
    })
}

/// Whether an architecture of Lambda's is this machine's.
fn is_this_machine(architecture: &str) -> bool {
    let ours = if architecture == "arm64" { "aarch64" } else { architecture };
    ours == std::env::consts::ARCH
}

fn logging(piece: &Piece<'_>) -> Logging {
    Logging::new(|name| piece.get("LoggingConfig").and_then(|node| node.get(name)?.scalar()))
}

fn runtime(resolver: &mut Resolver<'_>, piece: &Piece<'_>, image: bool) -> Option<Runtime> {
    if image {
        return Some(Runtime::Other("container image".to_owned()));
    }
    let Some(text) = piece.text("Runtime") else {
        piece.fail(resolver, "Runtime", "this function has no `Runtime`");
        return None;
    };
    match Runtime::parse(&text) {
        Ok(runtime) => Some(runtime),
        Err(error) => {
            piece.fail(resolver, "Runtime", error.to_string());
            None
        }
    }
}

fn handler(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    image: bool,
    runtime: &Runtime,
) -> String {
    let handler = piece.text("Handler").unwrap_or_default();
    let needs_one = matches!(runtime, Runtime::Python(_) | Runtime::Node(_)) && !image;
    if needs_one && handler.is_empty() {
        piece.fail(resolver, "Handler", "this function has no `Handler`");
    } else if needs_one && !handler.contains('.') {
        piece.fail(resolver, "Handler", format!("{handler:?} is not a handler (MODULE.FUNCTION)"));
    }
    handler
}

fn number(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    property: &str,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> u32 {
    let Some(node) = piece.get(property) else { return default };
    match node.scalar().and_then(|text| text.parse().ok()) {
        Some(number) if range.contains(&number) => number,
        _ => {
            let shown = node.scalar().unwrap_or_else(|| node.kind().to_owned());
            let (min, max) = (range.start(), range.end());
            piece.fail(
                resolver,
                property,
                format!("{property} is {shown}; it may be {min} to {max}"),
            );
            default
        }
    }
}

fn environment(resolver: &mut Resolver<'_>, piece: &Piece<'_>) -> BTreeMap<String, String> {
    let variables = piece.get("Environment").and_then(|node| node.get("Variables"));
    let members = variables.and_then(Node::as_map).map(|map| map.0.as_slice()).unwrap_or_default();
    let mut environment = BTreeMap::new();
    for member in members {
        let name = &member.name;
        let place = format!("Environment.Variables.{name}");
        let mut refuse = |at, message: String| {
            let mut location = piece.location(resolver, &place);
            location.position = at;
            resolver.problems.push(crate::problem::Problem::new(location, message));
        };
        if let Err(error) = check_variable_name(name) {
            refuse(member.at, error.to_string());
        }
        if let Some(text) = member.node.scalar() {
            environment.insert(name.clone(), text);
        } else {
            let kind = member.node.kind();
            refuse(
                member.node.at,
                format!("the environment variable {name} is {kind}, not a text"),
            );
        }
    }
    environment
}

fn code(
    resolver: &mut Resolver<'_>,
    sources: &mut Sources,
    piece: &Piece<'_>,
    runtime: &Runtime,
    handler: &str,
) -> Option<Code> {
    let Some(code) = piece.get("Code") else {
        piece.fail(resolver, "Code", "this function has no `Code`");
        return None;
    };
    let text = |name: &str| code.get(name).and_then(Node::scalar);
    if let Some(uri) = text("ImageUri") {
        return Some(Code::Image(uri));
    }
    if let Some(text) = text("ZipFile") {
        let module = handler.rsplit_once('.').map_or("index", |(module, _)| module);
        let extension = if matches!(runtime, Runtime::Python(_)) { "py" } else { "js" };
        return Some(Code::Inline { file_name: format!("{module}.{extension}"), text });
    }
    if let Some(folder) = service(resolver, piece, runtime, handler) {
        return Some(Code::Directory { root: folder, source: None });
    }
    let path = package(resolver, piece, "Code", code)?;
    if path.is_dir() {
        if let Some(source) = piece.resource.metadata("stillwire:source") {
            return Some(built(resolver, piece, path, source, &runtime.entry_files(handler)));
        }
        let (code, note) = sources.code(&path, &runtime.entry_files(handler));
        if let Some(note) = note {
            piece.warn(resolver, "Code", note);
        }
        return Some(code);
    }
    if path.is_file() {
        return Some(Code::Archive(path));
    }
    let message =
        format!("the code of this function is missing: {} does not exist", path.display());
    let problem = crate::problem::Problem::new(piece.location(resolver, "Code"), message);
    let hint = match code.as_text() {
        Some(_) => "the path begins at the template's folder",
        None => "synthesize the app again",
    };
    resolver.problems.push(problem.hint(hint));
    None
}

/// The folder of the service whose packaged template this is, where the entry point is in it as it runs: then the
/// package is a copy of the folder, and files that are edited are live.
fn service(
    resolver: &Resolver<'_>,
    piece: &Piece<'_>,
    runtime: &Runtime,
    handler: &str,
) -> Option<PathBuf> {
    let folder = resolver.unit(piece.unit).template.file.parent()?;
    let is_package = folder.file_name().is_some_and(|name| name == ".serverless");
    let service = folder.parent().filter(|_| is_package)?;
    let is_bundled = |entry: &str| [".ts", ".mts", ".cts"].iter().any(|end| entry.ends_with(end));
    let entries = runtime.entry_files(handler);
    let mut entries = entries.iter().filter(|entry| !is_bundled(entry));
    entries.any(|entry| service.join(entry).is_file()).then(|| service.to_owned())
}

/// What `sam build` made in `root` of the folder `source`, which is beside the template: the files that an author
/// edits come before their copies, where the entry point is one of them.
fn built(
    resolver: &Resolver<'_>,
    piece: &Piece<'_>,
    root: PathBuf,
    source: &str,
    entries: &[String],
) -> Code {
    let file = &resolver.unit(piece.unit).template.file;
    let source = tidy(&file.parent().unwrap_or_else(|| std::path::Path::new(".")).join(source));
    let is_source = entries.iter().any(|entry| source.join(entry).is_file());
    Code::Directory { root, source: is_source.then_some(source) }
}

/// The file or folder that a property names.
pub(super) fn package(
    resolver: &mut Resolver<'_>,
    piece: &Piece<'_>,
    property: &str,
    node: &Node,
) -> Option<PathBuf> {
    let unit = resolver.unit(piece.unit);
    let text = |name: &str| node.get(name).and_then(Node::scalar);
    if let Value::Text(path) = &node.value
        && !unit.assets.are_uploaded()
    {
        // A folder or zip beside the template, as before `aws cloudformation package`.
        let folder = unit.template.file.parent().unwrap_or_else(|| std::path::Path::new("."));
        return Some(tidy(&folder.join(path)));
    }
    let Some(key) = text("S3Key") else {
        piece.fail(resolver, property, "the code is neither an asset nor inline");
        return None;
    };
    let bucket = text("S3Bucket").unwrap_or_default();
    let found = asset(piece, unit, &bucket, &key);
    if found.is_none() {
        let message = format!("no asset of this stack is uploaded to {key} in {bucket}");
        let problem = crate::problem::Problem::new(piece.location(resolver, property), message);
        let hint = if unit.assets.are_uploaded() {
            "upload it first, as `aws cloudformation package` and the CDK do"
        } else {
            "put the file or folder of that name beside the template"
        };
        resolver.problems.push(problem.hint(hint));
    }
    found
}

/// The asset's file: by the manifest, by the CDK's note beside the resource, or beside the template, where SAM and
/// the Serverless Framework put what a key names.
fn asset(
    piece: &Piece<'_>,
    unit: &crate::resolver::Unit,
    bucket: &str,
    key: &str,
) -> Option<PathBuf> {
    let folder = unit.template.file.parent().unwrap_or_else(|| std::path::Path::new("."));
    let noted = piece.resource.metadata("aws:asset:path").map(|path| tidy(&folder.join(path)));
    let beside = || {
        let names = [key, key.rsplit('/').next().unwrap_or(key)];
        names.into_iter().map(|name| tidy(&folder.join(name))).find(|path| path.exists())
    };
    let uploaded = unit.assets.find(&unit.scope, bucket, key);
    if unit.assets.are_uploaded() { uploaded } else { uploaded.or(noted).or_else(beside) }
}
