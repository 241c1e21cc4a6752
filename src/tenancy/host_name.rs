//! What a host may be called.

/// Longest name of a host (RFC 1123 section 2.1).
const HOST_NAME_MAX: usize = 253;
/// Longest label of it (RFC 1035 section 2.3.4).
const HOST_LABEL_MAX: usize = 63;

/// Whether a text is a host name (RFC 1123 section 2.1), without the dot of the root.
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain && (1..=HOST_LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= HOST_NAME_MAX && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_called_by_labels_of_letters_digits_and_hyphens() {
        let long = "a".repeat(63);
        for name in ["a", "sip.example.com", "1.example", "a-b.c", &long, &format!("{long}.{long}")] {
            assert!(is_host_name(name), "{name}");
        }
        let (label, name) = ("a".repeat(64), format!("{long}.{long}.{long}.{long}"));
        for name in ["", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "not a host!", "ä", "a:1", &label, &name] {
            assert!(!is_host_name(name), "{name}");
        }
    }
}
