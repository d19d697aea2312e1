//! The record of bundling: which folder each bundled asset was made from.
//!
//! The CDK writes nothing of it down, but hot reload needs it. The bundling shim appends one line of JSON per
//! asset, beside the asset; loading reads them all.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file's name, in the assembly's folder.
const FILE_NAME: &str = "stillwire-bundles.jsonl";

/// Source: aws-cdk-lib `AssetStaging`: some releases bundle into a folder of this ending and rename it.
const UNFINISHED: &str = "-building";

/// Adds a line: `output` was made from `input`.
pub(crate) fn append(output: &Path, input: &Path) -> io::Result<()> {
    let folder = output.parent().unwrap_or_else(|| Path::new("."));
    let line = serde_json::json!({ "output": output, "input": input });
    let mut file = OpenOptions::new().create(true).append(true).open(folder.join(FILE_NAME))?;
    // One write per line: two bundlings at once do not mix.
    file.write_all(format!("{line}\n").as_bytes())
}

/// The source folders by the name of their asset's folder. Lines that cannot be read are left out.
pub(crate) fn read(assembly: &Path) -> BTreeMap<String, PathBuf> {
    let text = fs::read_to_string(assembly.join(FILE_NAME)).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let output = Path::new(line.get("output")?.as_str()?).file_name()?.to_str()?;
            let name = output.strip_suffix(UNFINISHED).unwrap_or(output).to_owned();
            Some((name, PathBuf::from(line.get("input")?.as_str()?)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_reads_back_by_asset() {
        let dir = tempfile::tempdir().unwrap();
        append(&dir.path().join("asset.1"), Path::new("/app/functions")).unwrap();
        append(&dir.path().join("asset.2-building"), Path::new("/app/other")).unwrap();
        let record = read(dir.path());
        assert_eq!(record.get("asset.1"), Some(&PathBuf::from("/app/functions")));
        assert_eq!(record.get("asset.2"), Some(&PathBuf::from("/app/other")));
    }
}
