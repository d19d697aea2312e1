//! Values as texts that are equal when the values are, and numbers without rounding.

use serde_json::{Number, Value};

/// A text that two values share when draft 4 calls them equal: members in any order, `1` and `1.0`.
pub(crate) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            out.push('{');
            for name in names {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                if let Some(member) = members.get(name) {
                    write(member, out);
                }
                out.push(',');
            }
            out.push('}');
        }
        simple => out.push_str(&simple.to_string()),
    }
}

fn number_text(number: &Number) -> String {
    match Decimal::of(number) {
        Some(decimal) => format!("{}e{}", decimal.digits, decimal.exponent),
        None => number.to_string(),
    }
}

/// A decimal number without trailing zeros: `digits` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    /// The exact decimal of a number's text.
    pub(crate) fn of(number: &Number) -> Option<Self> {
        let text = number.to_string();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().ok()?),
            None => (text.as_str(), 0_i32),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let mut exponent = exponent.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        while digits != 0 && digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        if digits == 0 {
            exponent = 0;
        }
        Some(Self { digits, exponent })
    }

    /// The digits of two numbers at one exponent.
    fn aligned(self, other: Self) -> Option<(i128, i128)> {
        let exponent = self.exponent.min(other.exponent);
        let scale = |number: Self| {
            let by = u32::try_from(number.exponent - exponent).ok()?;
            number.digits.checked_mul(10_i128.checked_pow(by)?)
        };
        Some((scale(self)?, scale(other)?))
    }

    pub(crate) fn compare(left: &Number, right: &Number) -> Option<std::cmp::Ordering> {
        let exact = Self::of(left).zip(Self::of(right)).and_then(|(a, b)| a.aligned(b));
        match exact {
            Some((left, right)) => Some(left.cmp(&right)),
            None => left.as_f64()?.partial_cmp(&right.as_f64()?),
        }
    }

    pub(crate) fn is_multiple(number: &Number, of: &Number) -> bool {
        let exact = Self::of(number).zip(Self::of(of)).and_then(|(number, of)| number.divides(of));
        // Digits that are too many to be exact: a multiple as far as doubles can tell.
        exact.unwrap_or_else(|| match (number.as_f64(), of.as_f64()) {
            (Some(number), Some(of)) => number % of == 0.0,
            _ => false,
        })
    }

    /// Whether `of` divides this without a remainder; `None` when the digits are too many.
    fn divides(self, of: Self) -> Option<bool> {
        if self.digits == 0 {
            return Some(true);
        }
        // Without a zero at its end, a number has no multiple of ten in it.
        let Ok(zeros) = u32::try_from(self.exponent.checked_sub(of.exponent)?) else {
            return Some(false);
        };
        if of.digits == 0 {
            return Some(false);
        }
        let mut rest = self.digits % of.digits;
        for _ in 0..zeros {
            rest = rest.checked_mul(10)? % of.digits;
        }
        Some(rest == 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_have_one_text() {
        for (left, right, same) in [
            (json!(1), json!(1.0), true),
            (json!(100), json!(1e2), true),
            (json!(0), json!(-0.0), true),
            (json!(1), json!("1"), false),
            (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1}), true),
            (json!([1, 2]), json!([2, 1]), false),
            (json!(["a", "b"]), json!(["a,b"]), false),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64), false),
        ] {
            assert_eq!(text(&left) == text(&right), same, "{left} {right}");
        }
    }
}
