//! Numbers as the store keeps them: `1.50`, `15E-1` and `+1.5` are one key, which a policy names in one way.
//!
//! Source: DynamoDB Developer Guide, "Data types", "Number": leading and trailing zeros are trimmed.

/// Digits of a number, and its largest and smallest power of ten. Source: the same.
const DIGITS_MAX: usize = 38;
const POWER_MAX: i32 = 130;

/// The number in plain notation; `None` for what is none that the store takes.
pub(crate) fn plain(text: &str) -> Option<String> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, power) = match rest.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let power = power.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let significant = digits.trim_start_matches('0');
    let short = significant.trim_end_matches('0');
    if short.is_empty() {
        return Some("0".to_owned());
    }
    let power = power.checked_add(i32::try_from(significant.len() - short.len()).ok()?)?;
    if short.len() > DIGITS_MAX || power.checked_abs()? > POWER_MAX + 38 {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let Ok(behind) = usize::try_from(-power) else {
        let zeros = "0".repeat(usize::try_from(power).ok()?);
        return Some(format!("{sign}{short}{zeros}"));
    };
    // So many digits are behind the point.
    let padded = format!("{short:0>width$}", width = behind + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - behind)?;
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_text() {
        for (expected, texts) in [
            ("0", vec!["0", "-0", "0.000", "0E+5", "00"]),
            ("7", vec!["7", "07", "+7", "7.0", "70E-1", "0.7e1"]),
            ("1500", vec!["1500", "1.5E+3", "15e2", "1500.00"]),
            ("-1.5", vec!["-1.5", "-1.50", "-15E-1", "-0150e-2"]),
            ("0.001", vec!["0.001", ".001", "1E-3", "1e-03"]),
            ("100", vec!["100", "1E2", "1E+02"]),
        ] {
            for text in texts {
                assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
            }
        }
        assert_eq!(plain("1E+125").map(|text| text.len()), Some(126));
        for text in
            ["", "-", ".", "1.2.3", "e5", "1e", "0x1", "1 ", "١", "1E+99999999999", "1E+2147483647"]
        {
            assert_eq!(plain(text), None, "{text}");
        }
    }
}
