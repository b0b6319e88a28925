//! The sources, with comments and texts blanked out so that only code is judged.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the repository.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// As it is.
    pub(crate) text: String,
}

impl Source {
    /// The text without comments, strings and characters, line for line.
    pub(crate) fn code(&self) -> String {
        if Path::new(&self.path).extension().is_some_and(|extension| extension == "sql") {
            return self
                .text
                .lines()
                .map(|line| line.split("--").next().unwrap_or_default())
                .collect::<Vec<_>>()
                .join("\n");
        }
        blank_out(&self.text)
    }

    /// [`Source::code`] up to the tests, which stand at the end of a file.
    pub(crate) fn code_without_tests(&self) -> String {
        let code = self.code();
        let is_test_file = self.path.ends_with("/tests.rs") || self.path.ends_with("/laws.rs");
        let end = if is_test_file { 0 } else { code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len()) };
        code[..end].to_owned()
    }

    /// The module of the first level: `store` for `src/store/pool.rs` and for `src/store.rs`.
    pub(crate) fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder with this extension, by path.
pub(crate) fn sources(folder: &str, extension: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(&root().join(folder), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let path = path.strip_prefix(root()).expect("it lies below").to_string_lossy().replace('\\', "/");
        Source { path, text }
    };
    paths.into_iter().map(source).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}

/// Where in the text of a file we are.
#[derive(Clone, Copy)]
enum In {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    /// With so many `#`.
    RawText(usize),
}

fn blank_out(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut place = In::Code;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (length, then) = step(rest, place, code.chars().next_back());
        let keeps = matches!((place, then), (In::Code, In::Code)) && length == next.len_utf8();
        for piece in rest[..length].chars() {
            code.push(if keeps || piece == '\n' { piece } else { ' ' });
        }
        place = then;
        rest = &rest[length..];
    }
    code
}

/// How many bytes belong together at the start of `rest`, and where we are after them.
fn step(rest: &str, place: In, before: Option<char>) -> (usize, In) {
    let first = rest.chars().next().map_or(0, char::len_utf8);
    match place {
        In::Code => step_in_code(rest, first, before),
        In::LineComment if rest.starts_with('\n') => (1, In::Code),
        In::BlockComment(depth) if rest.starts_with("/*") => (2, In::BlockComment(depth + 1)),
        In::BlockComment(1) if rest.starts_with("*/") => (2, In::Code),
        In::BlockComment(depth) if rest.starts_with("*/") => (2, In::BlockComment(depth - 1)),
        In::Text if rest.starts_with('\\') => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), In::Text),
        In::Text if rest.starts_with('"') => (1, In::Code),
        In::RawText(hashes) if rest.starts_with(&format!("\"{}", "#".repeat(hashes))) => (1 + hashes, In::Code),
        In::LineComment | In::BlockComment(_) | In::Text | In::RawText(_) => (first, place),
    }
}

fn step_in_code(rest: &str, first: usize, before: Option<char>) -> (usize, In) {
    if rest.starts_with("//") {
        return (2, In::LineComment);
    }
    if rest.starts_with("/*") {
        return (2, In::BlockComment(1));
    }
    if rest.starts_with('"') {
        return (1, In::Text);
    }
    let in_a_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some(behind) = rest.strip_prefix('r').filter(|_| !in_a_name || before == Some('b')) {
        let hashes = behind.len() - behind.trim_start_matches('#').len();
        if behind[hashes..].starts_with('"') {
            return (1 + hashes + 1, In::RawText(hashes));
        }
    }
    if rest.starts_with('\'') {
        return (length_of_character(rest).unwrap_or(1), In::Code);
    }
    (first, In::Code)
}

/// Of `'x'` or `'\n'`; `None` for a lifetime.
fn length_of_character(rest: &str) -> Option<usize> {
    let inside = &rest[1..];
    if inside.starts_with('\\') {
        return inside[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    let length = inside.chars().next()?.len_utf8();
    inside[length..].starts_with('\'').then_some(1 + length + 1)
}

#[test]
fn only_code_is_judged() {
    let text = "a // b\n/* c /* d */ e */ f \"g \\\" h\" 'i' '\\'' '\"' <'j> r#\"k \" l\"# br\"m\" n";
    let words: Vec<String> = blank_out(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "f", "<'j>", "b", "n"]);
    assert_eq!(blank_out(text).lines().count(), 2);
}
