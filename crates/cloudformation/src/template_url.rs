//! Where a template is that was uploaded: bucket and key of a URL.
//!
//! Source: CloudFormation API reference, `TemplateURL`: an object of S3 (or a document of Systems Manager, which is not
//! served). Tools that were pointed here name this program's own address instead of S3's.

use percent_encoding::percent_decode_str;

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectPlace {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

/// Reads a URL in any style: `https://s3.eu-west-1.amazonaws.com/b/k`, `https://b.s3.amazonaws.com/k`,
/// `http://127.0.0.1:7799/b/k`, `http://b.localhost:7799/k`, `s3://b/k`.
pub(crate) fn object_place(url: &str) -> Option<ObjectPlace> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    let (host, path) = rest.split_once('/')?;
    let decoded = |text: &str| Some(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    let in_path = || {
        let (bucket, key) = path.split_once('/')?;
        Some((decoded(bucket)?, decoded(key)?))
    };
    let (bucket, key) = match scheme {
        "s3" => (host.to_owned(), decoded(path)?),
        "http" | "https" => match bucket_of_host(host) {
            Some(bucket) => (bucket.to_owned(), decoded(path)?),
            None => in_path()?,
        },
        _ => return None,
    };
    (!bucket.is_empty() && !key.is_empty()).then_some(ObjectPlace { bucket, key })
}

/// The bucket that a host name begins with.
fn bucket_of_host(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if let Some(before) = name.strip_suffix(".localhost") {
        let bucket = before.strip_suffix(".s3").unwrap_or(before);
        return Some(bucket).filter(|bucket| *bucket != "s3");
    }
    let name = name.strip_suffix(".cn").unwrap_or(name).strip_suffix(".amazonaws.com")?;
    // From behind: a bucket may have a part that looks like the service's.
    let service = name.rfind(".s3.").or_else(|| name.rfind(".s3-"));
    match service {
        Some(service) => name.get(..service),
        None => name.strip_suffix(".s3"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_in_every_style() {
        for url in [
            "https://s3.eu-west-1.amazonaws.com/b/a/k%20.json",
            "https://s3.amazonaws.com/b/a/k%20.json",
            "https://s3-eu-west-1.amazonaws.com/b/a/k%20.json?versionId=1",
            "https://s3.cn-north-1.amazonaws.com.cn/b/a/k%20.json",
            "https://b.s3.eu-west-1.amazonaws.com/a/k%20.json",
            "https://b.s3-eu-west-1.amazonaws.com/a/k%20.json",
            "https://b.s3.amazonaws.com/a/k%20.json",
            "http://127.0.0.1:7799/b/a/k%20.json",
            "http://localhost:7799/b/a/k%20.json",
            "http://b.localhost:7799/a/k%20.json",
            "http://b.s3.localhost:7799/a/k%20.json",
            "http://s3.localhost:7799/b/a/k%20.json",
            "s3://b/a/k%20.json",
        ] {
            let place = object_place(url).unwrap_or_else(|| panic!("{url}"));
            assert_eq!((place.bucket.as_str(), place.key.as_str()), ("b", "a/k .json"), "{url}");
        }
        for url in
            ["", "x", "file:///etc/passwd", "http://h", "http://h/b", "http://h/b/", "s3://b"]
        {
            assert_eq!(object_place(url), None, "{url}");
        }
    }
}
