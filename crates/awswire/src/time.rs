//! Times as the services write them.

use std::cell::RefCell;

use jiff::Timestamp;

/// A time as access logs write it: `04/Feb/2025:09:12:33 +0000`.
///
/// Source: API Gateway, `$context.requestTime` (Common Log Format, UTC).
pub fn clf_time(epoch_millis: u64) -> String {
    with_clf_time(epoch_millis, str::to_owned)
}

/// The same, for whoever needs no text of its own.
pub fn with_clf_time<T>(epoch_millis: u64, read: impl FnOnce(&str) -> T) -> T {
    thread_local! {
        // Each request of a busy second asks for the same text.
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    LAST.with_borrow_mut(|(second, text)| {
        if *second != epoch_millis / 1000 {
            *second = epoch_millis / 1000;
            *text = timestamp(epoch_millis).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
        }
        read(text)
    })
}

/// A time in ISO 8601 with milliseconds: `2025-02-04T09:12:33.120Z`.
///
/// Source: `GetConnection` of the API Gateway Management API; SDKs insist on the final `Z`.
pub fn iso_millis(epoch_millis: u64) -> String {
    thread_local! {
        // As above; only the fraction differs.
        static LAST: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
    }
    LAST.with_borrow_mut(|(second, text)| {
        if *second != epoch_millis / 1000 {
            *second = epoch_millis / 1000;
            *text = timestamp(epoch_millis).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        format!("{text}.{:03}Z", epoch_millis % 1000)
    })
}

/// Times beyond the year 9999 are shown as its last moment.
fn timestamp(epoch_millis: u64) -> Timestamp {
    i64::try_from(epoch_millis)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_the_services_write_them() {
        assert_eq!(clf_time(1_738_660_353_120), "04/Feb/2025:09:12:33 +0000");
        assert_eq!(iso_millis(1_738_660_353_120), "2025-02-04T09:12:33.120Z");
        assert_eq!(iso_millis(1_738_660_353_007), "2025-02-04T09:12:33.007Z");
        assert!(iso_millis(u64::MAX).starts_with("9999-12-3"));
    }
}
