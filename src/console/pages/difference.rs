//! What is other in two texts, by lines.
//!
//! Invariant: lines that are the same at the beginning and at the end are compared once each; what is between is compared as long as that is
//! little work ([`CELLS_MAX`]), and is else all taken out and all put in.

/// A line of two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// In both.
    Same(String),
    /// In the first alone.
    Out(String),
    /// In the second alone.
    In(String),
}

/// Most comparisons of two lines.
const CELLS_MAX: usize = 1_000_000;

/// Every line of both, in order.
pub(super) fn between(before: &str, after: &str) -> Vec<Line> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let first = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let (rest_before, rest_after) = (&before[first..], &after[first..]);
    let last = rest_before.iter().rev().zip(rest_after.iter().rev()).take_while(|(a, b)| a == b).count();
    let (out, put) = (&rest_before[..rest_before.len() - last], &rest_after[..rest_after.len() - last]);
    let same = |lines: &[&str]| lines.iter().map(|line| Line::Same((*line).to_owned())).collect::<Vec<_>>();
    [same(&before[..first]), within(out, put), same(&rest_before[rest_before.len() - last..])].concat()
}

fn within(out: &[&str], put: &[&str]) -> Vec<Line> {
    let take = |line: &&str| Line::Out((*line).to_owned());
    let give = |line: &&str| Line::In((*line).to_owned());
    if out.len().saturating_mul(put.len()) > CELLS_MAX {
        return out.iter().map(take).chain(put.iter().map(give)).collect();
    }
    // The longest that both have in order, from each place to the end.
    let mut common = vec![vec![0_usize; put.len() + 1]; out.len() + 1];
    for a in (0..out.len()).rev() {
        for b in (0..put.len()).rev() {
            common[a][b] = match out[a] == put[b] {
                true => common[a + 1][b + 1] + 1,
                false => common[a + 1][b].max(common[a][b + 1]),
            };
        }
    }
    let (mut a, mut b, mut lines) = (0, 0, vec![]);
    while a < out.len() && b < put.len() {
        if out[a] == put[b] {
            lines.push(Line::Same(out[a].to_owned()));
            (a, b) = (a + 1, b + 1);
        } else if common[a + 1][b] >= common[a][b + 1] {
            lines.push(take(&out[a]));
            a += 1;
        } else {
            lines.push(give(&put[b]));
            b += 1;
        }
    }
    lines.extend(out[a..].iter().map(take).chain(put[b..].iter().map(give)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: &str, after: &str) -> String {
        let sign = |line: &Line| match line {
            Line::Same(text) => format!(" {text}"),
            Line::Out(text) => format!("-{text}"),
            Line::In(text) => format!("+{text}"),
        };
        between(before, after).iter().map(sign).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn lines_that_are_other_are_told_between_those_that_are_the_same() {
        assert_eq!(told("a\nb\nc", "a\nx\nc"), " a|-b|+x| c");
        assert_eq!(told("a\nb\nc\nd", "b\nc\ne\nd"), "-a| b| c|+e| d");
        assert_eq!(told("", "a"), "+a");
        assert_eq!(told("a", ""), "-a");
        assert_eq!(told("a\na", "a\na\na"), " a| a|+a");
        assert_eq!(told("same", "same"), " same");
    }

    #[test]
    fn two_texts_with_nothing_in_common_are_told_without_comparing_all() {
        let (before, after) = ("a\n".repeat(2_000), "b\n".repeat(2_000));
        let lines = between(&before, &after);
        assert_eq!(lines.len(), 4_000);
        assert!(lines[..2_000].iter().all(|line| matches!(line, Line::Out(_))));
    }
}
