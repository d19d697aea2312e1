//! The code of functions: archives that are sent, and how code of a template is told apart.

use std::fs::{self, File};
use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use stillwire_model::{Code, FunctionArn, limits};

use crate::error::{Answered, Refused};
use crate::members;
use crate::request::Members;
use crate::room::Room;
use crate::state::StoredCode;

/// Files and bytes of a folder that are read for its sum; a larger one is told apart by what comes first.
const FOLDER_FILES_MAX: usize = 20_000;
const FOLDER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Takes the code that a request brings, or names in a bucket, for a function; it is kept when this returns.
pub(crate) fn take(
    room: &Room,
    code: &Members,
    (function, dry_run): (&FunctionArn, bool),
) -> Answered<StoredCode> {
    if code.contains_key("ImageUri") {
        return Err(Refused::not_here("this names a container image"));
    }
    let archive = match (members::text(code, "S3Bucket")?, members::text(code, "S3Key")?) {
        (Some(bucket), Some(key)) => fetch(room, function, (bucket, key))?,
        (None, None) => sent(code)?,
        _ => return Err(Refused::invalid("S3Bucket and S3Key belong together")),
    };
    // Its content is bounded where it is unpacked.
    if zip::ZipArchive::new(Cursor::new(&archive)).is_err() {
        return Err(Refused::invalid(
            "Could not unzip uploaded file. Please check your file, then try to upload again.",
        ));
    }
    let mut sum = Context::new(&SHA256);
    sum.update(&archive);
    let sum = sum.finish();
    // The same archive is the same file.
    let file = format!("{}.zip", BASE64_URL_SAFE_NO_PAD.encode(sum));
    if !dry_run {
        room.store.keep(&file, &archive).map_err(|error| Refused::not_kept(&error))?;
    }
    let size = u64::try_from(archive.len()).unwrap_or(u64::MAX);
    Ok(StoredCode::Kept { file, sha256: BASE64_STANDARD.encode(sum), size })
}

/// The archive that a request brings.
fn sent(code: &Members) -> Answered<Vec<u8>> {
    let Some(text) = members::text(code, "ZipFile")? else {
        return Err(Refused::invalid("Please provide a source for function code."));
    };
    let archive = BASE64_STANDARD.decode(text).map_err(|_| {
        Refused::content("Could not parse request body into json: ZipFile is not base64")
    })?;
    if archive.len() > limits::FUNCTION_ARCHIVE_BYTES_MAX {
        return Err(Refused::too_large(format!(
            "the archive has {} bytes; it may have {}",
            archive.len(),
            limits::FUNCTION_ARCHIVE_BYTES_MAX
        )));
    }
    Ok(archive)
}

/// The archive that a deploy tool has uploaded.
///
/// Source: observed refusals of `UpdateFunctionCode`.
fn fetch(room: &Room, function: &FunctionArn, (bucket, key): (&str, &str)) -> Answered<Vec<u8>> {
    let path = room.ports.objects.find(function.account(), bucket, key).ok_or_else(|| {
        Refused::invalid(format!(
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: there is no {key} in the bucket \
             {bucket} of account {}: upload it here first, or send the code as ZipFile",
            function.account()
        ))
    })?;
    let most = limits::FUNCTION_UPLOAD_BYTES_MAX;
    let mut archive = Vec::new();
    let reading = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut archive));
    reading.map_err(|error| Refused::not_kept(&error))?;
    if u64::try_from(archive.len()).unwrap_or(u64::MAX) > most {
        return Err(Refused::invalid(format!("the archive {key} has more than {most} bytes")));
    }
    Ok(archive)
}

/// The sum and the size that tell a version's code apart from others.
///
/// For archives it is the one of the archive, as on AWS; for folders one of the names and contents of their files.
pub(crate) fn identity(code: &StoredCode) -> (String, u64) {
    let code = match code {
        StoredCode::Kept { sha256, size, .. } => return (sha256.clone(), *size),
        StoredCode::Template(code) => code,
    };
    let mut sum = Context::new(&SHA256);
    let mut size = 0_u64;
    match code {
        Code::Inline { text, .. } => {
            sum.update(text.as_bytes());
            size = u64::try_from(text.len()).unwrap_or(u64::MAX);
        }
        Code::Image(image) => sum.update(image.as_bytes()),
        // What cannot be read counts as empty: it cannot be run either, and that is told where it is.
        Code::Archive(file) => _ = add_file(file, &mut sum, &mut size),
        Code::Directory { root, source } => {
            for folder in source.iter().chain([root]) {
                _ = add_folder(folder, &mut sum, &mut size);
            }
        }
    }
    (BASE64_STANDARD.encode(sum.finish()), size)
}

/// Where the code is.
pub(crate) fn location(code: &StoredCode, folder: &Path) -> String {
    let path = match code {
        StoredCode::Kept { file, .. } => folder.join(file),
        StoredCode::Template(Code::Directory { root, source }) => {
            source.as_ref().unwrap_or(root).clone()
        }
        StoredCode::Template(Code::Archive(file)) => file.clone(),
        StoredCode::Template(Code::Inline { .. } | Code::Image(_)) => return String::new(),
    };
    format!("file://{}", path.display())
}

fn add_file(path: &Path, sum: &mut Context, size: &mut u64) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        sum.update(bytes);
        *size += u64::try_from(read).unwrap_or_default();
    }
}

fn add_folder(root: &Path, sum: &mut Context, size: &mut u64) -> io::Result<()> {
    let mut folders = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && entry.file_name() != "__pycache__" {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
        if files.len() > FOLDER_FILES_MAX {
            break;
        }
    }
    files.sort();
    for file in files {
        if *size > FOLDER_BYTES_MAX {
            break;
        }
        sum.update(file.strip_prefix(root).unwrap_or(&file).as_os_str().as_encoded_bytes());
        sum.update(&[0]);
        add_file(&file, sum, size)?;
    }
    Ok(())
}
