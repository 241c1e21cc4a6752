//! From the dialled number to the integration, and to all that serves it.
//!
//! A number may have several owners, each with an Amazon Connect instance of its own: a tenant can type whatever number he
//! likes, and takes nothing from anybody by it. A call that names its instance is of the one who has it, as far as that one
//! believes where it came from; any other call is of the only owner, or of the one that an operator has confirmed. What a
//! tenant says of himself (his sources, his login) never decides for him and against another: it is asked only of him whose
//! the call is by these rules.
//!
//! Invariant: a directory is never changed: a newer one takes its place ([`crate::succession`]), and whoever found something
//! here keeps it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::integration::{Integration, Right};
use crate::number::Number;

/// All integrations by their numbers. `S` is what one look-up gives: the integration with its services.
#[derive(Debug)]
pub struct Directory<S> {
    all: Vec<Arc<S>>,
    by_number: HashMap<Number, Vec<Owner>>,
    by_id: HashMap<String, usize>,
}

/// One who has a number.
#[derive(Debug, Clone, Copy)]
struct Owner {
    /// His place among all.
    at: usize,
    right: Right,
}

/// Whose a call is.
#[derive(Debug)]
pub enum Routed<'a, S> {
    /// This one's.
    One(&'a Arc<S>),
    /// Nobody's: the only one who has the number has no more than typed it, and the call names another instance.
    Elsewhere(&'a Arc<S>),
    /// Nobody's, as it may be of any of these.
    Ambiguous(Vec<&'a Arc<S>>),
    /// Nobody's: nobody has the number.
    Nobody,
}

/// Two integrations want one number that only one of them can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberTaken {
    /// The number.
    pub number: String,
    /// The tenant who has it.
    pub first: String,
    /// The tenant who wants it too.
    pub second: String,
    /// The integration that it is wanted for.
    pub integration: String,
}

impl fmt::Display for NumberTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, first, second, .. } = self;
        match first == second {
            true => write!(f, "number {number} is that of two integrations of tenant `{first}` with one instance"),
            false => {
                write!(f, "number {number} belongs to tenant `{first}` already and cannot belong to `{second}` too")
            }
        }
    }
}

impl NumberTaken {
    /// The same for those who want the number: whose it is concerns nobody but who runs the server.
    pub fn told_to_tenant(&self) -> String {
        match self.first == self.second {
            true => self.to_string(),
            false => {
                let why = "is somebody else's on this server: take it out, or ask whoever runs it";
                format!("number {} {why}", self.number)
            }
        }
    }
}

impl std::error::Error for NumberTaken {}

impl<S> Default for Directory<S> {
    fn default() -> Self {
        Self { all: vec![], by_number: HashMap::new(), by_id: HashMap::new() }
    }
}

impl<S: AsRef<Integration>> Directory<S> {
    /// A directory of integrations, where of two with one number each has an instance of its own and neither has it alone.
    pub fn new(all: impl IntoIterator<Item = Arc<S>>) -> Result<Self, NumberTaken> {
        let mut directory = Self::default();
        for one in all {
            let at = directory.all.len();
            directory.by_id.insert((*one).as_ref().id.clone(), at);
            directory.all.push(Arc::clone(&one));
            let one = (*one).as_ref();
            for own in &one.numbers {
                let owners = directory.by_number.entry(own.number.clone()).or_default();
                let clash = owners.iter().find(|owner| {
                    let sole = owner.right == Right::Sole || own.right == Right::Sole;
                    sole || integration(&directory.all, **owner).instance == one.instance
                });
                let Some(clash) = clash.copied() else {
                    owners.push(Owner { at, right: own.right });
                    continue;
                };
                let first = integration(&directory.all, clash).tenant.name.clone();
                let (second, wanted_for) = (one.tenant.name.clone(), one.id.clone());
                return Err(NumberTaken { number: own.number.e164(), first, second, integration: wanted_for });
            }
        }
        Ok(directory)
    }

    /// Whose a call to a number is, as it stands in a Request-URI or To header. `named` is the instance that the call says
    /// it comes from; `believes` tells whether not anybody can send to this one from there.
    pub fn route(&self, dialled: &str, named: Option<&str>, believes: impl Fn(&S) -> bool) -> Routed<'_, S> {
        let owners = Number::parse(dialled).ok().and_then(|number| self.by_number.get(&number));
        let Some(owners) = owners else { return Routed::Nobody };
        let is_named = |owner: &Owner| named.is_some() && integration(&self.all, *owner).instance.as_deref() == named;
        let believed = |owner: &&Owner| is_named(owner) && believes(&self.all[owner.at]);
        if let Some(owner) = owners.iter().find(believed) {
            return Routed::One(&self.all[owner.at]);
        }
        let mut sure = owners.iter().filter(|owner| owner.right != Right::Claimed);
        let one = match (&owners[..], sure.next(), sure.next()) {
            ([one], ..) | (_, Some(one), None) => one,
            _ => return Routed::Ambiguous(owners.iter().map(|owner| &self.all[owner.at]).collect()),
        };
        // Whoever typed a number first has not got the calls of the one whose it is.
        match one.right == Right::Claimed && named.is_some() && !is_named(one) {
            true => Routed::Elsewhere(&self.all[one.at]),
            false => Routed::One(&self.all[one.at]),
        }
    }

    /// The integration of this identifier.
    pub fn find(&self, id: &str) -> Option<&Arc<S>> {
        self.all.get(*self.by_id.get(id)?)
    }

    /// Everybody.
    pub fn all(&self) -> &[Arc<S>] {
        &self.all
    }
}

fn integration<S: AsRef<Integration>>(all: &[Arc<S>], owner: Owner) -> &Integration {
    (*all[owner.at]).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integration::tests::integration;

    const NUMBER: &str = "+18005550123";

    fn directory(all: Vec<Integration>) -> Result<Directory<Integration>, NumberTaken> {
        Directory::new(all.into_iter().map(Arc::new))
    }

    /// One that has [`NUMBER`] by this right, and this instance.
    fn with(id: &str, instance: Option<&str>, right: Right) -> Integration {
        let mut one = integration(id, &[NUMBER]);
        one.numbers[0].right = right;
        one.instance = instance.map(str::to_owned);
        one
    }

    /// Whose a call is: a name, `elsewhere`, `ambiguous` with names, or `nobody`.
    fn whose(all: &[Integration], named: Option<&str>, believed_by: &str) -> String {
        let directory = directory(all.to_vec()).expect("good");
        match directory.route("18005550123", named, |one| believed_by.contains(&one.id)) {
            Routed::One(one) => one.id.clone(),
            Routed::Elsewhere(_) => "elsewhere".to_owned(),
            Routed::Ambiguous(all) => {
                format!("ambiguous {}", all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>().join(" "))
            }
            Routed::Nobody => "nobody".to_owned(),
        }
    }

    #[test]
    fn a_number_leads_to_its_owner_however_it_is_written() {
        let directory =
            directory(vec![integration("a", &[NUMBER]), integration("b", &["+1 800 555 0199"])]).expect("good");
        for (dialled, expected) in [("18005550199", "b"), ("+1-800-555-0123", "a")] {
            let Routed::One(one) = directory.route(dialled, None, |_| false) else { panic!("{dialled}") };
            assert_eq!(one.id, expected);
        }
        for dialled in ["+18005550100", "anonymous"] {
            assert!(matches!(directory.route(dialled, None, |_| true), Routed::Nobody), "{dialled}");
        }
        assert!(directory.find("a").is_some() && directory.find("c").is_none());
    }

    #[test]
    fn no_number_has_two_owners_that_cannot_be_told_apart() {
        use Right::{Claimed, Confirmed, Sole};
        let taken = |a: (Option<&str>, Right), b: (Option<&str>, Right)| {
            directory(vec![with("a", a.0, a.1), with("b", b.0, b.1)]).err().map(|taken| taken.to_string())
        };
        let told = Some(format!("number {NUMBER} belongs to tenant `a` already and cannot belong to `b` too"));
        assert_eq!(taken((None, Sole), (None, Sole)), told);
        assert_eq!(taken((Some("i"), Sole), (Some("j"), Sole)), told, "the file gives a number to one");
        let both = directory(vec![with("a", None, Sole), with("b", None, Sole)]).expect_err("taken").told_to_tenant();
        assert!(both.starts_with(&format!("number {NUMBER} is somebody else's")) && !both.contains("`a`"), "{both}");
        assert_eq!(taken((Some("i"), Claimed), (Some("j"), Sole)), told);
        assert_eq!(taken((Some("i"), Sole), (None, Confirmed)), told);
        assert_eq!(taken((Some("i"), Claimed), (Some("i"), Confirmed)), told, "one instance");
        assert_eq!(taken((None, Claimed), (None, Claimed)), told, "none counts as one");
        assert_eq!(taken((Some("i"), Claimed), (Some("j"), Claimed)), None);
        assert_eq!(taken((Some("i"), Claimed), (None, Confirmed)), None);
        let mut second = with("b", None, Claimed);
        second.tenant = Arc::clone(&with("a", None, Claimed).tenant);
        let taken = directory(vec![with("a", None, Claimed), second]).expect_err("one tenant, twice");
        assert_eq!((taken.integration.as_str(), taken.first == taken.second), ("b", true));
        assert!(taken.to_string().contains("two integrations of tenant `a`"), "{taken}");
    }

    #[test]
    fn a_call_that_names_its_instance_is_of_who_has_it_where_that_is_believed() {
        let all = [with("a", Some("i"), Right::Claimed), with("b", Some("j"), Right::Claimed)];
        assert_eq!(whose(&all, Some("j"), "ab"), "b");
        assert_eq!(whose(&all, Some("j"), "a"), "ambiguous a b", "who cannot believe it gets nothing by it");
        assert_eq!(whose(&all, None, "ab"), "ambiguous a b");
        assert_eq!(whose(&all, Some("x"), "ab"), "ambiguous a b");
        let all = [with("a", None, Right::Claimed), with("b", Some("j"), Right::Claimed)];
        assert_eq!([None, Some("j")].map(|named| whose(&all, named, "b")), ["ambiguous a b", "b"]);
    }

    #[test]
    fn a_call_that_names_none_is_of_the_only_owner_or_of_the_confirmed_one() {
        let only = [with("a", Some("i"), Right::Claimed)];
        assert_eq!(whose(&only, None, ""), "a");
        let all = [with("a", Some("i"), Right::Claimed), with("b", Some("j"), Right::Confirmed)];
        assert_eq!(whose(&all, None, ""), "b");
        assert_eq!(whose(&all, Some("i"), ""), "b", "not believed: as if it named none");
        assert_eq!(whose(&all, Some("i"), "a"), "a");
        let both = [with("a", Some("i"), Right::Confirmed), with("b", Some("j"), Right::Confirmed)];
        assert_eq!(whose(&both, None, ""), "ambiguous a b", "two are as good as none");
    }

    /// The owner comes later, or is not served for the moment: until then his calls are nobody's.
    #[test]
    fn who_typed_a_number_first_has_no_calls_of_another_instance() {
        for instance in [None, Some("i")] {
            let typed = [with("a", instance, Right::Claimed)];
            assert_eq!([whose(&typed, Some("j"), "a"), whose(&typed, Some("j"), "")], ["elsewhere", "elsewhere"]);
            assert_eq!(
                whose(&[with("a", instance, Right::Confirmed)], Some("j"), "a"),
                "a",
                "who calls is judged then"
            );
        }
        assert_eq!(whose(&[with("a", Some("i"), Right::Claimed)], Some("i"), ""), "a");
    }
}
