//! Every case of `tests/cases/` has a test under its name: the name stands in a test's source, or the test bears it.

use std::path::{Path, PathBuf};

/// All Rust sources below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests/field_cases.rs")
        {
            found.push(path);
        }
    }
}

#[test]
fn every_case_of_the_field_has_a_test_under_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files = vec![];
    ["src", "actors", "tests"].iter().for_each(|folder| sources(&root.join(folder), &mut files));
    let text: String = files.iter().map(|path| std::fs::read_to_string(path).expect("text")).collect();
    let mut missing = vec![];
    for entry in std::fs::read_dir(root.join("tests/cases")).expect("the cases").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if !file.ends_with(".yaml") {
            continue;
        }
        assert!(text.contains(&file), "no test reads {file}");
        let cases = std::fs::read_to_string(entry.path()).expect("text");
        for name in cases.lines().filter_map(|line| line.strip_prefix("- name: ")) {
            let name = name.trim().trim_matches(['\'', '"']);
            let function: Vec<String> = name
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .map(str::to_lowercase)
                .collect();
            let called = format!("fn {}(", function.join("_"));
            if !text.contains(&format!("\"{name}\"")) && !text.contains(&called) {
                missing.push(format!("{file}: {name}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
