//! Which file of a crate knows which, read from the paths in it, and whether they know one another in a circle.
//!
//! A file is a module, and a module with its children is one house: of two files the houses count that stand side by side. A
//! parent may know its children and they their parent; siblings with all that is inside them may not go in a circle. A name that
//! a module hands on (`use x::Name`) leads to the file that it comes from. Tests do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A module by its path inside the crate; the root is empty.
pub(crate) type Module = Vec<String>;

/// The files of one crate.
pub(crate) struct Crate(BTreeMap<Module, File>);

/// The houses of one parent: which knows which, and by which files.
type Street<'a> = BTreeMap<(&'a str, &'a str), Vec<String>>;

/// What one file names.
struct File {
    /// What it imports: the name there, and the path behind it.
    imports: Vec<(String, Vec<String>)>,
    /// Other paths that begin with `crate`, `self` or `super`.
    paths: Vec<Vec<String>>,
}

impl Crate {
    /// The files below a folder that belong to its crate: packages inside it are crates of their own.
    pub(crate) fn read(root: &Path) -> Self {
        let texts = rust_files(root, root).into_iter().filter_map(|file| {
            let module = module_of(file.strip_prefix(root).expect("a file of this crate"))?;
            Some((module, std::fs::read_to_string(&file).expect("readable")))
        });
        Self::of(texts)
    }

    /// Of these texts by module.
    pub(crate) fn of(texts: impl IntoIterator<Item = (Module, String)>) -> Self {
        Self(texts.into_iter().map(|(module, text)| (module, File::read(&text))).collect())
    }

    /// Who knows whom, from file to file.
    pub(crate) fn edges(&self) -> BTreeSet<(Module, Module)> {
        let known = |module: &Module, file: &File| -> Vec<(Module, Module)> {
            let paths = file.imports.iter().map(|(_, path)| path).chain(&file.paths);
            let known = paths.filter_map(|path| self.resolve(module, path, 0)).filter(|known| known != module);
            known.map(|known| (module.clone(), known)).collect()
        };
        self.0.iter().flat_map(|(module, file)| known(module, file)).collect()
    }

    /// Every circle, told with the files that make it.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut streets: BTreeMap<&[String], Street<'_>> = BTreeMap::new();
        let edges = self.edges();
        for (from, to) in &edges {
            let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            if let (Some(house), Some(known)) = (from.get(shared), to.get(shared)) {
                let told = format!("{} knows {}", from.join("::"), to.join("::"));
                let street = streets.entry(&from[..shared]).or_default();
                street.entry((house, known)).or_default().push(told);
            }
        }
        let mut circles = vec![];
        for street in streets.values() {
            let reaches = |from: &str, to: &str| reachable(street, from).contains(to);
            let told = street.iter().filter(|((from, to), _)| reaches(to, from)).flat_map(|(_, told)| told.clone());
            circles.extend(Some(told.collect::<Vec<_>>().join(", ")).filter(|told| !told.is_empty()));
        }
        circles
    }

    /// The file that a path in a module leads to; none outside this crate.
    fn resolve(&self, module: &Module, path: &[String], depth: u32) -> Option<Module> {
        let ups = path.iter().take_while(|segment| *segment == "super").count();
        let (mut at, mut rest): (Module, &[String]) = match path.first()?.as_str() {
            "crate" => (vec![], &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (module[..module.len().checked_sub(ups)?].to_vec(), &path[ups..]),
            child => {
                let inside = [module.as_slice(), &[child.to_owned()]].concat();
                self.0.contains_key(&inside).then(|| (module.clone(), path))?
            }
        };
        while let Some(next) = rest.first() {
            at.push(next.clone());
            if !self.0.contains_key(&at) {
                at.pop();
                break;
            }
            rest = &rest[1..];
        }
        let file = self.0.get(&at)?;
        // Two names that hand each other on would never end.
        if let Some(name) = rest.first().filter(|_| depth < 8 && at != *module)
            && let Some((_, behind)) = file.imports.iter().find(|(imported, _)| imported == name)
            && let Some(found) = self.resolve(&at, &[behind, &rest[1..]].concat(), depth + 1)
        {
            return Some(found);
        }
        Some(at)
    }
}

fn reachable<'a>(street: &Street<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        let known = street.keys().filter(|(house, _)| *house == at).map(|(_, known)| *known);
        next.extend(known.filter(|known| seen.insert(*known)).collect::<Vec<_>>());
    }
    seen
}

/// `a/b.rs` and `a/b/mod.rs` are `a::b`; files of tests are none.
fn module_of(file: &Path) -> Option<Module> {
    let mut module: Module = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let last = module.last()?.clone();
    if last == "mod" || (module.len() == 1 && ["lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    let is_test = last == "build" || module.iter().any(|part| part == "tests");
    (!is_test).then_some(module)
}

fn rust_files(folder: &Path, root: &Path) -> Vec<PathBuf> {
    if folder != root && folder.join("Cargo.toml").exists() {
        return vec![];
    }
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path, root));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// A piece of Rust: a word, `::`, or another sign.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Separator,
    Sign(char),
}

impl Token {
    fn is(&self, sign: char) -> bool {
        *self == Self::Sign(sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(known) if known == word)
    }
}

impl File {
    fn read(text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let (mut imports, mut paths, mut at) = (vec![], vec![], 0);
        while at < tokens.len() {
            if tokens[at].is_word("use") {
                let end = tokens[at..].iter().position(|token| token.is(';')).map_or(tokens.len(), |end| at + end);
                import(&tokens[at + 1..end], &[], &mut imports);
                at = end;
            }
            let path = path_at(&tokens, at);
            at += path.len().saturating_mul(2).max(2) - 1;
            paths.extend(Some(path).filter(|path| {
                path.len() > 1 && path.first().is_some_and(|first| ["crate", "self", "super"].contains(&first.as_str()))
            }));
        }
        Self { imports, paths }
    }
}

/// The words from here on that `::` joins; empty where there is no word.
fn path_at(tokens: &[Token], at: usize) -> Vec<String> {
    let mut path = vec![];
    let mut rest = tokens.get(at..).unwrap_or_default();
    while let [Token::Word(word), after @ ..] = rest {
        path.push(word.clone());
        match after {
            [Token::Separator, next @ ..] if matches!(next.first(), Some(Token::Word(_))) => rest = next,
            _ => break,
        }
    }
    path
}

/// Takes a tree of `use` apart.
fn import(tree: &[Token], before: &[String], imports: &mut Vec<(String, Vec<String>)>) {
    let mut path = before.to_vec();
    let mut rest = tree;
    loop {
        match rest {
            [Token::Word(word), after @ ..] => {
                if word != "self" || path.is_empty() {
                    path.push(word.clone());
                }
                rest = after;
                if let [Token::Word(renames), Token::Word(name), ..] = rest
                    && renames == "as"
                {
                    return imports.push((name.clone(), path));
                }
            }
            [Token::Separator, after @ ..] => rest = after,
            [Token::Sign('{'), inside @ .., Token::Sign('}')] => {
                return branches(inside).iter().for_each(|branch| import(branch, &path, imports));
            }
            _ => {
                let name = if rest.is_empty() { path.last().cloned().unwrap_or_default() } else { "*".to_owned() };
                return imports.push((name, path));
            }
        }
    }
}

/// The parts between the commas that are in no brace.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut parts, mut depth, mut begin) = (vec![], 0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(',') if depth == 0 => {
                parts.push(&tokens[begin..at]);
                begin = at + 1;
            }
            Token::Word(_) | Token::Separator | Token::Sign(_) => {}
        }
    }
    parts.push(&tokens[begin..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The same without what stands behind `#[cfg(test)]`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let (mut kept, mut at) = (vec![], 0);
    while at < tokens.len() {
        let is_test = match &tokens[at..] {
            [hash, open, cfg, bracket, test, ..] => {
                hash.is('#') && open.is('[') && cfg.is_word("cfg") && bracket.is('(') && test.is_word("test")
            }
            _ => false,
        };
        if is_test {
            at = end_of_item(tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Behind the `;` or the closing brace of an item.
fn end_of_item(tokens: &[Token], begin: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token {
            Token::Sign('{') => depth += 1,
            Token::Sign('}') if depth == 1 => return at + 1,
            Token::Sign('}') => depth -= 1,
            Token::Sign(';') if depth == 0 => return at + 1,
            Token::Word(_) | Token::Separator | Token::Sign(_) => {}
        }
    }
    tokens.len()
}

/// Rust without comments, texts and characters.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = vec![];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|raw| (raw, raw.len() - raw.trim_start_matches('#').len()));
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some((raw, hashes)) = raw.filter(|(raw, hashes)| raw[*hashes..].starts_with('"')) {
            let end = format!("\"{}", "#".repeat(hashes));
            raw[hashes + 1..].find(&end).map_or(rest.len(), |at| 1 + hashes + 1 + at + end.len())
        } else if first == '"' {
            quoted(rest)
        } else if first == '\'' {
            character(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..length].to_owned()));
            length
        } else if rest.starts_with("::") {
            tokens.push(Token::Separator);
            2
        } else {
            tokens.extend(Some(Token::Sign(first)).filter(|_| !first.is_whitespace()));
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// How long the text is that begins here.
fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    let end = rest.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| at + 1)
}

/// How long the character is that begins here; of a lifetime only its sign.
fn character(rest: &str) -> usize {
    let mut inside = rest.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3),
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 1,
    }
}

/// The checker sees what it is there for: a made-up crate for each of its promises.
mod checked {
    use super::{Crate, Module};

    fn of(files: &[(&str, &str)]) -> Crate {
        let module =
            |path: &str| path.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect::<Module>();
        Crate::of(files.iter().map(|(path, text)| (module(path), (*text).to_owned())))
    }

    #[test]
    fn a_circle_of_files_is_told_with_who_makes_it() {
        let two = of(&[("", "mod a; mod b;"), ("a", "use crate::b::B;"), ("b", "fn f() { crate::a::f() }")]);
        assert_eq!(two.circles(), ["a knows b, b knows a"]);
        let three = of(&[
            ("", ""),
            ("a", "use super::{b::{B, C}, d};"),
            ("b", "use super::c as other;"),
            ("c", "impl X { fn f(&self) -> super::a::A { super::a::A } }"),
            ("d", ""),
        ]);
        assert_eq!(three.circles(), ["a knows b, b knows c, c knows a"]);
    }

    #[test]
    fn a_house_is_all_that_is_inside_it() {
        let houses = of(&[("", ""), ("a", ""), ("a::x", "use crate::b;"), ("b", "use crate::a::y;"), ("a::y", "")]);
        assert_eq!(houses.circles(), ["a::x knows b, b knows a::y"]);
        let inside = of(&[("", ""), ("a", ""), ("a::x", "use super::y::Y;"), ("a::y", "use crate::a::x::X;")]);
        assert_eq!(inside.circles(), ["a::x knows a::y, a::y knows a::x"]);
    }

    #[test]
    fn a_name_leads_to_where_it_comes_from() {
        let handed_on = of(&[
            ("", ""),
            ("a", "mod x; mod y; pub use x::Word; use self::y::Other as Renamed;"),
            ("a::x", "use super::Renamed;"),
            ("a::y", "use super::Word;"),
        ]);
        assert_eq!(handed_on.circles(), ["a::x knows a::y, a::y knows a::x"]);
    }

    #[test]
    fn parent_and_child_texts_comments_and_tests_make_no_circle() {
        let none = of(&[
            ("", "use a::A; use b::B;"),
            (
                "a",
                "mod x; use x::X; pub struct A; // use crate::b;\n/* crate::b */ const T: &str = \"crate::b \\\" \";",
            ),
            ("a::x", "use super::A; use crate::C; fn f<'a>(c: char) { c == '\"' || c == '\\''; }"),
            ("b", "use crate::a::A; use crate::e::E; #[cfg(test)] mod tests { use super::*; }"),
            ("c", "#[cfg(test)]\nuse crate::d::D;\nuse std::fmt;"),
            ("d", "use crate::c; const R: &str = r#\"use crate::a\"#;"),
            ("e", "pub struct E;\n#[cfg(test)]\nmod tests {\n    use crate::b::B;\n    fn f() {}\n}\n"),
        ]);
        assert_eq!(none.circles(), Vec::<String>::new());
    }
}
