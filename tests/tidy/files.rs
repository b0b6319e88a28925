//! What has to be there.

use std::{collections::BTreeSet, fs};

use crate::{
    none,
    source::{root, sources},
};

/// What a stranger looks for first.
const DOCUMENTS: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", ".ci/run", "Makefile"];

#[test]
fn the_documents_are_there() {
    let missing = DOCUMENTS.iter().filter(|name| !root().join(name).is_file());
    none(&missing.map(|name| format!("{name}: is missing")).collect::<Vec<_>>());
}

/// `text` in backquotes that looks like a path of this repository, or a link to one.
#[test]
fn documents_name_files_that_exist() {
    let mut complaints = Vec::new();
    for entry in fs::read_dir(root()).expect("it can be read").filter_map(Result::ok) {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("documents are UTF-8");
        for (line, text) in (1..).zip(text.lines()) {
            for named in paths_in(text).into_iter().filter(|named| !root().join(named).exists()) {
                complaints.push(format!("{}:{line}: there is no {named}", entry.file_name().display()));
            }
        }
    }
    none(&complaints);
}

fn paths_in(line: &str) -> Vec<&str> {
    let quoted = line.split('`').skip(1).step_by(2);
    let quoted = quoted
        .filter(|text| ["src/", "tests/", "migrations/", "scripts/", "ops/"].iter().any(|top| text.starts_with(top)));
    let quoted = quoted.filter(|text| !text.contains(['{', '*', ' ', '…']));
    let linked = line.split("](").skip(1).filter_map(|text| text.split([')', '#']).next());
    let linked = linked.filter(|text| !text.is_empty() && !text.contains("://") && !text.starts_with("mailto:"));
    quoted.chain(linked).collect()
}

#[test]
fn each_migration_is_there_for_both_databases_both_ways() {
    let mut complaints = Vec::new();
    let names = |database: &str| -> BTreeSet<String> {
        let files = sources(&format!("migrations/{database}"), "sql");
        files.into_iter().map(|source| source.path.replacen(database, "*", 1)).collect()
    };
    let (mysql, sqlite) = (names("mysql"), names("sqlite"));
    complaints.extend(mysql.symmetric_difference(&sqlite).map(|path| format!("{path}: only for one of the databases")));
    for path in &sqlite {
        let other = if path.ends_with("up.sql") {
            path.replace("up.sql", "down.sql")
        } else {
            path.replace("down.sql", "up.sql")
        };
        if !sqlite.contains(&other) {
            complaints.push(format!("{path}: there is no {other}"));
        }
    }
    let numbers: BTreeSet<&str> = sqlite.iter().filter_map(|path| path.split('/').nth(2)?.split('_').next()).collect();
    for (expected, number) in (1..).zip(numbers) {
        if number != format!("{expected:04}") {
            complaints.push(format!("migrations/*/{number}_…: expected {expected:04}"));
        }
    }
    none(&complaints);
}

#[test]
fn each_dependency_says_why() {
    let text = fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    let mut complaints = Vec::new();
    let mut section = "";
    let mut above = "";
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with('[') {
            section = text;
        } else if section.contains("dependencies") && text.contains(" = ") && !text.starts_with('#') {
            let says_why = text.contains('#') || above.starts_with('#');
            if !says_why {
                complaints.push(format!("Cargo.toml:{line}: say why we need it, behind a #"));
            }
        }
        above = text;
    }
    none(&complaints);
}
