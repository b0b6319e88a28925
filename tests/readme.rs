//! What `README.md` says of the program is what the program says of itself: each complaint is the line that is missing, or
//! one that nothing stands for any more.

use std::{fs, path::Path};

use clap::Arg;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A setting as a line of the table.
fn line_of(arg: &Arg) -> String {
    let quoted = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
    let value = arg.get_value_names().unwrap_or_default().join(" ");
    let variable = arg.get_env().unwrap_or_default().to_string_lossy().into_owned();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let flag = arg.get_long().expect("every setting is a flag");
    format!("| `--{flag} <{value}>` | {} | {} | {help} |", quoted(variable), quoted(defaults.join(",")))
}

#[test]
fn the_table_has_every_setting_of_serve() {
    let mut command = postrider::cli::command();
    command.build();
    let serve = command.find_subcommand("serve").expect("serve is a command");
    let settings = serve.get_arguments().filter(|arg| arg.get_id() != "help").map(line_of);
    let expected: Vec<String> = settings.collect();

    let readme = read("README.md");
    let found: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `--")).collect();
    let missing =
        expected.iter().filter(|line| !found.contains(&line.as_str())).map(|line| format!("missing:  {line}"));
    let left_over = found
        .iter()
        .filter(|line| !expected.iter().any(|other| other == *line))
        .map(|line| format!("too much: {line}"));
    let complaints: Vec<String> = missing.chain(left_over).collect();
    assert!(complaints.is_empty(), "\nREADME.md, Settings:\n{}\n", complaints.join("\n"));
    assert_eq!(found, expected, "in the order of --help");
}

/// Written as: `name` in `path`.
#[test]
fn the_tests_that_show_the_promises_are_there() {
    let readme = read("README.md");
    let promises = readme.split("\n## ").next().expect("the promises come first");
    let pieces: Vec<&str> = promises.split('`').collect();
    let named: Vec<_> = pieces.windows(3).filter(|window| window[1].trim() == "in").collect();
    assert!(named.len() >= 5, "each of the five promises names a test: {named:?}");
    for window in named {
        let (name, path) = (window[0], window[2]);
        assert!(read(path).contains(&format!("fn {name}(")), "README.md: there is no test {name} in {path}");
    }
}
