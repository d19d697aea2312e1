//! Values as the file writes them: times, sizes, and limits that can be lifted.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

/// A limit, or `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Liftable<T>(pub(super) Option<T>);

/// A time: `"90s"`, `"10m"`, `"2h"`, `"250ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Duration);

impl Time {
    /// Reads such a text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::of_text(text)
    }
}

/// A size: `"32KB"`, `"1MB"` (powers of two, as in the service's quotas), or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

/// A value that can be written as text or as a number.
trait Written: Sized {
    const EXPECTED: &'static str;
    fn of_text(text: &str) -> Option<Self>;
    fn of_number(number: u64) -> Option<Self>;
}

impl Written for Time {
    const EXPECTED: &'static str = "a time such as \"90s\", \"10m\" or \"2h\"";

    fn of_text(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(millis)?)))
    }

    fn of_number(_: u64) -> Option<Self> {
        None // of what?
    }
}

impl Written for Size {
    const EXPECTED: &'static str = "a size such as \"32KB\" or \"1MB\", or a number of bytes";

    fn of_text(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let bytes = match unit {
            "B" => 1,
            "KB" | "KiB" => 1 << 10,
            "MB" | "MiB" => 1 << 20,
            "GB" | "GiB" => 1 << 30,
            _ => return None,
        };
        Self::of_number(number.checked_mul(bytes)?)
    }

    fn of_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().map(Self)
    }
}

impl Written for u32 {
    const EXPECTED: &'static str = "a number";

    fn of_text(_: &str) -> Option<Self> {
        None
    }

    fn of_number(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
}

impl<T: Written> Written for Liftable<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn of_text(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self(None)),
            text => T::of_text(text).map(|value| Self(Some(value))),
        }
    }

    fn of_number(number: u64) -> Option<Self> {
        T::of_number(number).map(|value| Self(Some(value)))
    }
}

/// A number and its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

struct Reader<T>(PhantomData<T>);

impl<T: Written> Visitor<'_> for Reader<T> {
    type Value = T;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(T::EXPECTED)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        T::of_text(text).ok_or_else(|| E::custom(format!("{text:?} is not {}", T::EXPECTED)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        let value = number.try_into().ok().and_then(T::of_number);
        value.ok_or_else(|| E::custom(format!("{number} is not {}", T::EXPECTED)))
    }
}

macro_rules! deserialize {
    ($($kind:ty),*) => { $(
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(Reader(PhantomData)).map_err(D::Error::custom)
            }
        }
    )* };
}

deserialize!(Time, Size, Liftable<Time>, Liftable<Size>, Liftable<u32>);
