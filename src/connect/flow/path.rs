//! References of the flow language: `$.Attributes.name`, `$.SystemEndpoint.Address`, `$['AwsRegion']`.
//!
//! Invariant: reading one ends with the text, whatever the text is.

/// The names that a reference may begin with (*List of available contact attributes and their JSONPath references*).
pub const ROOTS: [&str; 46] = [
    "AdditionalEmailRecipients",
    "Agent",
    "Attributes",
    "AuthenticationAttributes",
    "AwsRegion",
    "Capabilities",
    "Case",
    "Channel",
    "ContactId",
    "ContactData",
    "Customer",
    "CustomerCallbackNumber",
    "CustomerEndpoint",
    "CustomerId",
    "DataTableList",
    "DataTables",
    "Description",
    "Email",
    "External",
    "FlowAttributes",
    "FlowModule",
    "InitialContactId",
    "InitiationMethod",
    "InstanceARN",
    "LanguageCode",
    "Lex",
    "Loop",
    "Media",
    "MediaStreams",
    "Metrics",
    "Modules",
    "Name",
    "OutboundCall",
    "PreviousContactId",
    "Queue",
    "QueueMetrics",
    "References",
    "RelatedContactId",
    "SegmentAttributes",
    "StoredCustomerInput",
    "SystemEndpoint",
    "Tags",
    "Task",
    "TextToSpeechVoice",
    "Views",
    "Wisdom",
];

/// What a value of a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<'a> {
    /// A text without any reference.
    Text,
    /// One reference and nothing else, with the name that it begins with.
    Reference(&'a str),
    /// A text with references in it: the name that the first begins with.
    Mixed(&'a str),
}

/// Tells what a value is.
pub fn written(text: &str) -> Written<'_> {
    let mut first = None;
    for (root, at, end) in references(text) {
        if at == 0 && end == text.len() {
            return Written::Reference(root);
        }
        first.get_or_insert(root);
    }
    first.map_or(Written::Text, Written::Mixed)
}

/// All references in a text: the name that each begins with, where it begins and where it ends.
pub fn references(text: &str) -> impl Iterator<Item = (&str, usize, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[from..].find('$') {
            let at = from + found;
            from = at + 1;
            if let Some((root, end)) = reference(text, at) {
                from = end;
                return Some((root, at, end));
            }
        }
        None
    })
}

/// The reference that begins with the dollar sign at `at`: the name that it begins with, and where it ends.
fn reference(text: &str, at: usize) -> Option<(&str, usize)> {
    let (root, mut end) = step(text, at + 1)?;
    // A price is none.
    if !root.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    while let Some((_, next)) = step(text, end) {
        end = next;
    }
    Some((root, end))
}

/// One step of a reference, `.name`, `['name']` or `[0]`: what it names, and where it ends.
fn step(text: &str, at: usize) -> Option<(&str, usize)> {
    let rest = text.get(at..)?;
    if let Some(name) = rest.strip_prefix('.') {
        let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(name.len());
        return (length > 0).then(|| (&name[..length], at + 1 + length));
    }
    let inside = rest.strip_prefix('[')?;
    let length = inside.find(']')?;
    let name = inside[..length].trim_matches(|c| c == '\'' || c == '"');
    (!name.is_empty()).then_some((name, at + 2 + length))
}

/// The name of the attribute that a whole text refers to: `$.Attributes.name`.
pub fn attribute(text: &str) -> Option<&str> {
    let Written::Reference("Attributes") = written(text) else { return None };
    let (_, from) = step(text, 1)?;
    match step(text, from)? {
        (name, end) if end == text.len() => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_told_from_a_text() {
        for (text, is) in [
            ("", Written::Text),
            ("$", Written::Text),
            ("costs $5 or $.50", Written::Text),
            ("$.InstanceARN", Written::Reference("InstanceARN")),
            ("$.Attributes.SessionHistoryKey", Written::Reference("Attributes")),
            ("$['AwsRegion']", Written::Reference("AwsRegion")),
            ("$.Views.ViewResultData['a b'][0].c", Written::Reference("Views")),
            (" $.InstanceARN", Written::Mixed("InstanceARN")),
            ("{\"i\":\"$.InstanceARN\",\"c\":\"$.ContactId\"}", Written::Mixed("InstanceARN")),
            ("$.$.a", Written::Mixed("a")),
            ("$.Attributes[", Written::Mixed("Attributes")),
            ("ü$.ü$.é", Written::Text),
        ] {
            assert_eq!(written(text), is, "{text}");
        }
        assert_eq!(references("$.A and $.B.c.").map(|(root, ..)| root).collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn an_attribute_is_named_in_either_way() {
        assert_eq!(attribute("$.Attributes.SessionHistoryKey"), Some("SessionHistoryKey"));
        assert_eq!(attribute("$.Attributes['SessionHistoryKey']"), Some("SessionHistoryKey"));
        for text in ["SessionHistoryKey", "$.Attributes", "$.Attributes.a.b", "$.External.a", "x $.Attributes.a"] {
            assert_eq!(attribute(text), None, "{text}");
        }
    }
}
