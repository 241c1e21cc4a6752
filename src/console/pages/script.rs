//! The lines of a script with their numbers, and what is wrong at each: what is typed into a field that shows no numbers.
//!
//! Invariant: a mistake that names a line which there is stands at that line; one that names none stands in the summary alone.

use super::told::Told;

/// The field that scripts are typed into.
pub(super) const FIELD: &str = "script_text";
/// Most lines that are shown; a script of more is shown as far.
const LINES_MAX: usize = 5_000;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) wrong: Vec<String>,
}

/// The lines of a script.
pub(super) fn numbered(script: &str, told: &Option<Told>) -> Vec<Numbered> {
    let faults = told.iter().flat_map(|told| &told.faults).filter(|fault| fault.field.as_deref() == Some(FIELD));
    let wrong: Vec<(usize, &str)> = faults.filter_map(|fault| at_line(&fault.detail)).collect();
    let line = |(at, text): (usize, &str)| {
        let number = at + 1;
        let wrong = wrong.iter().filter(|(line, _)| *line == number).map(|(_, why)| (*why).to_owned()).collect();
        Numbered { number, text: text.to_owned(), wrong }
    };
    script.lines().take(LINES_MAX).enumerate().map(line).collect()
}

/// The line of `line 7, column 3: why`, and what is wrong there with its column.
fn at_line(detail: &str) -> Option<(usize, &str)> {
    let rest = detail.strip_prefix("line ")?;
    let (number, _) = rest.split_once([',', ':'])?;
    let why = rest[number.len()..].trim_start_matches([',', ':', ' ']);
    Some((number.parse().ok()?, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::form::Form;
    use crate::problem::{Fault, Problem};

    #[test]
    fn a_mistake_stands_at_its_line() {
        let form = Form(vec![(FIELD.to_owned(), String::new())]);
        let faults = ["line 2, column 3: `x` is not a step", "line 9: is wrong", "is no script", "line two: what"];
        let faults = faults.map(|why| Fault::at("#/settings/script_text", why)).to_vec();
        let told = Some(Told::of(&Problem::faults(faults), &form));
        let lines = numbered("start: a\nsteps: {}\n", &told);
        let wrong: Vec<(usize, &[String])> = lines.iter().map(|line| (line.number, &*line.wrong)).collect();
        assert_eq!(wrong, [(1, &[][..]), (2, &["column 3: `x` is not a step".to_owned()])]);
        assert_eq!(lines[0].text, "start: a");
        assert_eq!(numbered(&"x\n".repeat(LINES_MAX + 1), &None).len(), LINES_MAX);
    }
}
