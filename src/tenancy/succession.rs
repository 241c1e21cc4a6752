//! From the tenants that are served to those that a newer list names.
//!
//! Invariant: what is refused stays as it was, and nobody loses a number to somebody newer while he is served; a tenant is
//! taken away only by a list that can be trusted to be whole ([`Absent::Remove`]).

use std::collections::HashSet;
use std::sync::Arc;

use crate::directory::{Directory, NumberTaken};
use crate::integration::Integration;

/// What a newer list says of one tenant.
#[derive(Debug)]
pub enum Wanted<S> {
    /// The one of this name is as it was.
    Same(String),
    /// It is new, or another than before.
    Newer(Arc<S>),
    /// It is there under this name, and has mistakes.
    Bad(String),
}

/// What becomes of tenants that a newer list does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// They are served no more.
    Remove,
    /// They stay: something in the list could not be read, and it may be they.
    Keep,
}

/// What comes of it.
#[derive(Debug)]
pub struct Succession<S> {
    /// Who is served from now on.
    pub directory: Directory<S>,
    /// Who is another than before.
    pub change: Change,
    /// Good in themselves, and refused for a number that somebody has who is served.
    pub refused: Vec<NumberTaken>,
}

/// The names of tenants that change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who was not there before.
    pub added: Vec<String>,
    /// Who is there, and another than before.
    pub changed: Vec<String>,
    /// Who is gone.
    pub removed: Vec<String>,
}

/// Lays a newer list over what is served.
pub fn succeed<S: AsRef<Integration>>(served: &Directory<S>, wanted: &[Wanted<S>], absent: Absent) -> Succession<S> {
    let bad: HashSet<&str> = wanted.iter().filter_map(Wanted::bad).collect();
    let named: HashSet<&str> = wanted.iter().map(Wanted::name).collect();
    let newer: Vec<&Arc<S>> = wanted.iter().filter_map(Wanted::newer).filter(|one| !bad.contains(name(one))).collect();
    let mut refused: Vec<NumberTaken> = vec![];
    let directory = loop {
        let is_refused = |one: &str| refused.iter().any(|taken| taken.integration == one);
        let goes = |one: &str| newer.iter().any(|newer| name(newer) == one) && !is_refused(one);
        let leaves = |one: &str| absent == Absent::Remove && !named.contains(one);
        // Those who stay come first, so that a number is theirs.
        let stay = served.all().iter().filter(|one| !goes(name(one)) && !leaves(name(one)));
        let come = newer.iter().copied().filter(|one| !is_refused(name(one)));
        match Directory::new(stay.chain(come).cloned()) {
            Ok(directory) => break directory,
            // Whoever is refused may have a number that another was to get: it is looked at anew, with one less to come.
            Err(taken) => refused.push(taken),
        }
    };
    let names = |of: &Directory<S>| of.all().iter().map(|one| name(one).to_owned()).collect::<Vec<_>>();
    let is_newer = |one: &String| match (served.find(one), directory.find(one)) {
        (Some(before), Some(now)) => !Arc::ptr_eq(before, now),
        _ => false,
    };
    let change = Change {
        added: names(&directory).into_iter().filter(|one| served.find(one).is_none()).collect(),
        changed: names(&directory).into_iter().filter(is_newer).collect(),
        removed: names(served).into_iter().filter(|one| directory.find(one).is_none()).collect(),
    };
    Succession { directory, change, refused }
}

fn name<S: AsRef<Integration>>(one: &Arc<S>) -> &str {
    &(**one).as_ref().id
}

impl<S: AsRef<Integration>> Wanted<S> {
    fn name(&self) -> &str {
        match self {
            Self::Same(name) | Self::Bad(name) => name,
            Self::Newer(one) => name(one),
        }
    }

    fn bad(&self) -> Option<&str> {
        match self {
            Self::Bad(name) => Some(name),
            Self::Same(_) | Self::Newer(_) => None,
        }
    }

    fn newer(&self) -> Option<&Arc<S>> {
        match self {
            Self::Newer(one) => Some(one),
            Self::Same(_) | Self::Bad(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Routed;
    use crate::integration::Right;
    use crate::integration::tests::integration;

    fn newer(name: &str, numbers: &[&str]) -> Wanted<Integration> {
        Wanted::Newer(Arc::new(integration(name, numbers)))
    }

    fn served() -> Directory<Integration> {
        let all = [
            integration("a", &["+1800555001"]),
            integration("b", &["+1800555002"]),
            integration("c", &["+1800555003"]),
        ];
        Directory::new(all.map(Arc::new)).expect("numbers of their own")
    }

    fn owner(directory: &Directory<Integration>, number: &str) -> String {
        match directory.route(number, None, |_| true) {
            Routed::One(one) => one.id.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Who is added, changed, removed and refused.
    fn told(wanted: &[Wanted<Integration>], absent: Absent) -> [String; 4] {
        let came = succeed(&served(), wanted, absent);
        let refused: Vec<String> = came.refused.iter().map(|taken| taken.integration.clone()).collect();
        let Change { added, changed, removed } = came.change;
        [added, changed, removed, refused].map(|names| names.join(" "))
    }

    #[test]
    fn a_list_adds_changes_and_removes() {
        let wanted = || [Wanted::Same("a".into()), newer("b", &["+1800555002"]), newer("d", &["+1800555003"])];
        assert_eq!(told(&wanted(), Absent::Remove), ["d", "b", "c", ""]);
        let served = served();
        let came = succeed(&served, &wanted(), Absent::Remove);
        assert!(
            Arc::ptr_eq(came.directory.find("a").expect("stays"), served.find("a").expect("was")),
            "it is the same"
        );
        assert_eq!(owner(&came.directory, "+1800555003"), "d");
    }

    #[test]
    fn who_has_mistakes_stays_as_he_was_and_keeps_his_number() {
        let wanted = [Wanted::Bad("a".into()), newer("d", &["+1800555001"]), Wanted::Bad("e".into())];
        assert_eq!(told(&wanted, Absent::Remove), ["", "", "b c", "d"]);
        let twice = [newer("a", &["+1800555009"]), Wanted::Bad("a".into())];
        assert_eq!(told(&twice, Absent::Remove), ["", "", "b c", ""], "a name that is there twice is nobody's");
    }

    /// `b` takes over from `a`, who takes over from `c`, who has to stay.
    #[test]
    fn a_chain_of_numbers_falls_with_its_first() {
        let chain = [newer("b", &["+1800555001"]), newer("a", &["+1800555003"]), Wanted::Bad("c".into())];
        assert_eq!(told(&chain, Absent::Remove), ["", "", "", "a b"]);
        let ring = [newer("b", &["+1800555001"]), newer("a", &["+1800555003"]), newer("c", &["+1800555002"])];
        assert_eq!(told(&ring, Absent::Remove), ["", "b a c", "", ""], "they give each other their numbers");
    }

    #[test]
    fn a_list_that_may_lack_somebody_removes_nobody() {
        assert_eq!(told(&[newer("a", &["+1800555009"])], Absent::Keep), ["", "a", "", ""]);
        assert_eq!(told(&[newer("d", &["+1800555002"])], Absent::Keep), ["", "", "", "d"], "b may be in it");
    }

    /// A number may have a second owner with another instance, and who is served keeps what he has.
    #[test]
    fn a_number_with_an_instance_takes_nothing_from_who_is_served() {
        let claims = |id: &str, instance: &str| {
            let mut one = integration(id, &["+1800555001"]);
            (one.numbers[0].right, one.instance) = (Right::Claimed, Some(instance.to_owned()));
            one
        };
        let served = Directory::new([Arc::new(claims("a", "i"))]).expect("one");
        let comes = |one: Integration| {
            succeed(&served, &[Wanted::Same("a".into()), Wanted::Newer(Arc::new(one))], Absent::Remove)
        };
        assert_eq!(comes(claims("b", "j")).change.added, ["b"]);
        let refused = comes(claims("b", "i")).refused;
        assert_eq!(refused.iter().map(|taken| taken.integration.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(comes(integration("b", &["+1800555001"])).refused.len(), 1, "a file's number is nobody else's");
        let confirmed = {
            let mut one = claims("a", "i");
            one.numbers[0].right = Right::Confirmed;
            succeed(&served, &[Wanted::Newer(Arc::new(one))], Absent::Remove)
        };
        assert_eq!((confirmed.change.changed, confirmed.refused), (vec!["a".to_owned()], vec![]));
    }
}
