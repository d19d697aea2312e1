//! Runtimes that are not ours: a package's own `bootstrap`, and the runtime clients that are published for Java, .NET
//! and Ruby. All find the Runtime API by its address.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stillwire_model::{Function, Runtime};

use crate::code::{self, Forks, Prepared, Reach, Roots};

/// The class that is the program of Java's runtime client.
const JAVA_CLIENT: &str = "com/amazonaws/services/lambda/runtime/api/client/AWSLambda";
/// How much of a function's memory Java's objects may take, in percent; the rest is for the virtual machine itself.
///
/// Choice: about what the managed runtimes leave.
const JAVA_HEAP_PERCENT: u32 = 80;
/// The file of .NET's runtime client.
const DOTNET_CLIENT: &str = "Amazon.Lambda.RuntimeSupport.dll";

/// The command that runs a function. Disk work: not for the reactor.
///
/// # Errors
/// Why it cannot run, and what to do.
pub(crate) fn prepare(
    function: &Function,
    roots: &Roots,
    places: &[PathBuf],
) -> Result<Prepared, String> {
    let (program, args) = match &function.runtime {
        Runtime::Provided(_) => (bootstrap(roots)?, Vec::new()),
        Runtime::Other(name) if name.starts_with("java") => java(name, function, roots, places)?,
        Runtime::Other(name) if name.starts_with("dotnet") => {
            dotnet(name, function, roots, places)?
        }
        Runtime::Other(name) if name.starts_with("ruby") => {
            let client = program("aws_lambda_ric", places).ok_or_else(|| {
                format!("{name} needs its runtime client: gem install aws_lambda_ric")
            })?;
            (client, vec![function.handler.clone()])
        }
        other => return Err(format!("its runtime {other} is not run here")),
    };
    Ok(Prepared {
        readable: code::readable(&program, roots).collect(),
        program,
        args,
        env: BTreeMap::new(),
        task_root: roots.root.clone(),
        forks: Forks::Never,
        reach: Reach::Address,
    })
}

/// Source: AWS Lambda Developer Guide, "Building a custom runtime".
fn bootstrap(roots: &Roots) -> Result<PathBuf, String> {
    let found = roots.with_layers().map(|root| root.join("bootstrap")).find(|path| path.is_file());
    let Some(found) = found else {
        return Err(format!("its package has no file `bootstrap` ({})", roots.root.display()));
    };
    let mode = fs::metadata(&found).map_err(|error| error.to_string())?.permissions().mode();
    if mode & 0o111 == 0 {
        return Err(format!("its bootstrap may not be executed: chmod +x {}", found.display()));
    }
    Ok(found)
}

/// Source: aws-lambda-java-libs, "AWS Lambda Java Runtime Interface Client".
fn java(
    name: &str,
    function: &Function,
    roots: &Roots,
    places: &[PathBuf],
) -> Result<(PathBuf, Vec<String>), String> {
    let java = program("java", places)
        .ok_or_else(|| format!("there is no Java on this machine; install {name}"))?;
    let layers = roots.layers.as_ref().map(|layers| layers.join("java"));
    let folders: Vec<&PathBuf> = roots.folders().chain(&layers).collect();
    let has_client = folders.iter().any(|root| {
        root.join(format!("{JAVA_CLIENT}.class")).is_file()
            || [root.as_path(), &root.join("lib")].into_iter().any(has_client_jar)
    });
    if !has_client {
        return Err(format!(
            "{name} needs its runtime client in the package: add \
             com.amazonaws:aws-lambda-java-runtime-interface-client to the dependencies"
        ));
    }
    let path = folders.iter().flat_map(|root| {
        [
            root.display().to_string(),
            format!("{}/*", root.display()),
            format!("{}/lib/*", root.display()),
        ]
    });
    let path = path.collect::<Vec<_>>().join(":");
    let heap = function.memory_mb * JAVA_HEAP_PERCENT / 100;
    let args = vec![
        format!("-Xmx{heap}m"),
        "-cp".to_owned(),
        path,
        JAVA_CLIENT.replace('/', "."),
        function.handler.clone(),
    ];
    Ok((java, args))
}

fn has_client_jar(folder: &Path) -> bool {
    let jars = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    jars.filter(|path| path.extension().is_some_and(|extension| extension == "jar")).any(|jar| {
        let archive = fs::File::open(jar).ok().and_then(|file| zip::ZipArchive::new(file).ok());
        archive.is_some_and(|archive| {
            archive.index_for_name(&format!("{JAVA_CLIENT}.class")).is_some()
        })
    })
}

/// Source: aws-lambda-dotnet, "Amazon.Lambda.RuntimeSupport": an executable of its own, or a class library
/// (`Assembly::Type::Method`) that this one loads.
fn dotnet(
    name: &str,
    function: &Function,
    roots: &Roots,
    places: &[PathBuf],
) -> Result<(PathBuf, Vec<String>), String> {
    let dotnet = program("dotnet", places)
        .ok_or_else(|| format!("there is no .NET on this machine; install {name}"))?;
    let root = roots.folders().find(|root| root.join(DOTNET_CLIENT).is_file()).ok_or_else(|| {
        format!("{name} needs its runtime client in the package: dotnet add package Amazon.Lambda.RuntimeSupport")
    })?;
    let file = |name: &str| root.join(name).to_string_lossy().into_owned();
    let args = match function.handler.split_once("::") {
        None => vec![file(&format!("{}.dll", function.handler))],
        Some((assembly, _)) => vec![
            "exec".to_owned(),
            "--depsfile".to_owned(),
            file(&format!("{assembly}.deps.json")),
            "--runtimeconfig".to_owned(),
            file(&format!("{assembly}.runtimeconfig.json")),
            file(DOTNET_CLIENT),
            function.handler.clone(),
        ],
    };
    Ok((dotnet, args))
}

fn program(name: &str, places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().map(|place| place.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn javas_client_is_found_in_any_jar() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("broken.jar"), "x").unwrap();
        assert!(!has_client_jar(folder.path()));
        let mut jar = zip::ZipWriter::new(fs::File::create(folder.path().join("all.jar")).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        jar.start_file(format!("{JAVA_CLIENT}.class"), options).unwrap();
        jar.write_all(b"x").unwrap();
        jar.finish().unwrap();
        assert!(has_client_jar(folder.path()));
    }
}
