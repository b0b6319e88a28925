//! One word per thing, in Rust and in SQL.

use crate::{none, source::sources};

/// A word that must not appear in a name, the word for it, and where the other word is at home after all.
const WORDS: &[(&str, &str, &[&str])] = &[
    // Rust has a hook for panics, too.
    ("hook", "subscription", &["src/http/whisperer/", "src/actors/tests/scene.rs"]),
    ("hooks", "subscriptions", &["src/http/whisperer/"]),
    ("topic", "event_type", &[]),
    ("job", "delivery", &[]),
    ("jobs", "deliveries", &[]),
    ("tenant", "owner", &[]),
    ("dlq", "dead", &[]),
    ("deadletter", "dead", &[]),
    ("redrive", "replay", &[]),
    ("resend", "redeliver", &[]),
    ("circuit", "breaker", &[]),
    ("suspend", "pause", &[]),
    ("suspended", "paused", &[]),
    ("disabled", "inactive or paused", &[]),
];

#[test]
fn names_use_the_words_of_the_design() {
    let mut complaints = Vec::new();
    for source in sources("src", "rs").iter().chain(&sources("migrations", "sql")) {
        let words = WORDS.iter().filter(|(_, _, home)| !home.iter().any(|home| source.path.starts_with(home)));
        let words: Vec<_> = words.collect();
        for (line, text) in (1..).zip(source.code().lines()) {
            for (word, instead, _) in words.iter().filter(|(word, ..)| words_of(text).iter().any(|w| w == word)) {
                complaints.push(format!("{}:{line}: \"{word}\" is called \"{instead}\" here", source.path));
            }
        }
    }
    none(&complaints);
}

/// The words of all names in a line of code: `HookRow` and `hook_row` both have `hook`.
fn words_of(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_small = false;
    for character in text.chars() {
        if !character.is_alphanumeric() || (character.is_uppercase() && was_small) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
        was_small = character.is_lowercase();
    }
    words
}

#[test]
fn names_are_taken_apart() {
    let words: Vec<_> = words_of("fn HookRow(hook_id: HTTPJob) -> x").into_iter().filter(|w| !w.is_empty()).collect();
    assert_eq!(words, ["fn", "hook", "row", "hook", "id", "httpjob", "x"]);
}
