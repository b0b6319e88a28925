//! Which module may name which.

use crate::{
    none,
    source::{Source, sources},
};

/// A module, the siblings it may name, and the crates it must not.
struct Walls {
    module: &'static str,
    siblings: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// Drawn as floors no arrow runs back up: each names only those listed before it.
const WALLS: &[Walls] = &[
    // Pure: what decides has no I/O, no async, no clock, no randomness and no log.
    Walls {
        module: "domain",
        siblings: &[],
        forbidden: &[
            "actix",
            "actix_rt",
            "actix_tls",
            "actix_web",
            "anyhow",
            "awc",
            "clap",
            "diesel",
            "diesel_migrations",
            "env_logger",
            "futures_util",
            "hickory_resolver",
            "jiff",
            "log",
            "rand",
            "rustls",
            "tokio",
        ],
    },
    // What is counted, wherever it happens.
    Walls {
        module: "metrics",
        siblings: &["domain"],
        forbidden: &["actix", "actix_rt", "actix_web", "awc", "diesel", "tokio", "log", "rand"],
    },
    Walls { module: "clock", siblings: &["domain"], forbidden: &["actix", "actix_web", "awc", "diesel"] },
    Walls { module: "samples", siblings: &["domain"], forbidden: &["actix", "actix_web", "awc", "diesel", "rand"] },
    // The only SQL.
    Walls { module: "store", siblings: &["domain"], forbidden: &["actix", "actix_rt", "actix_web", "awc", "anyhow"] },
    Walls { module: "config", siblings: &["domain", "store"], forbidden: &["actix", "actix_web", "awc", "diesel"] },
    // The only way out.
    Walls {
        module: "egress",
        siblings: &["domain", "metrics", "clock"],
        forbidden: &["actix", "actix_web", "diesel", "anyhow"],
    },
    Walls {
        module: "actors",
        siblings: &["domain", "metrics", "store", "egress", "clock"],
        forbidden: &["diesel", "diesel_migrations", "actix_web", "anyhow"],
    },
    Walls {
        module: "http",
        siblings: &["domain", "metrics", "store", "actors", "egress", "clock", "samples"],
        forbidden: &["diesel", "diesel_migrations", "awc", "anyhow"],
    },
    // For people; orders things through the handlers of `http`.
    Walls {
        module: "pages",
        siblings: &["domain", "metrics", "store", "actors", "egress", "clock", "samples", "http"],
        forbidden: &["diesel", "diesel_migrations", "awc", "anyhow"],
    },
    Walls {
        module: "app",
        siblings: &["domain", "metrics", "clock", "config", "store", "egress", "actors", "http", "pages"],
        forbidden: &["diesel"],
    },
    Walls {
        module: "cli",
        siblings: &["domain", "clock", "config", "store", "egress", "actors", "http", "app", "samples"],
        forbidden: &["diesel"],
    },
];

#[test]
fn modules_name_only_what_they_may() {
    let mut complaints = Vec::new();
    for source in sources("src", "rs") {
        if ["lib", "main"].contains(&source.module()) {
            continue;
        }
        let Some(walls) = WALLS.iter().find(|walls| walls.module == source.module()) else {
            complaints.push(format!(
                "{}: the module {} has no walls in tests/tidy/walls.rs",
                source.path,
                source.module()
            ));
            continue;
        };
        for mention in mentions(&source) {
            let is_forbidden = match &mention.sibling {
                Some(sibling) => sibling != walls.module && !walls.siblings.contains(&sibling.as_str()),
                None => walls.forbidden.contains(&mention.root.as_str()),
            };
            if is_forbidden {
                let what = mention.sibling.as_ref().map_or(mention.root.clone(), |sibling| format!("crate::{sibling}"));
                complaints.push(format!("{}:{}: {} must not name {what}", source.path, mention.line, walls.module));
            }
        }
    }
    none(&complaints);
}

#[test]
fn no_arrow_runs_back_up() {
    for (floor, walls) in WALLS.iter().enumerate() {
        for sibling in walls.siblings {
            let below = WALLS[..floor].iter().any(|lower| lower.module == *sibling);
            assert!(below, "{} names {sibling}, which must stand above it in the table", walls.module);
        }
    }
}

/// Only there can the two kinds of transaction be told apart.
#[test]
fn transactions_begin_in_one_place() {
    let begins = |line: &str| [".transaction(", "immediate_transaction("].iter().any(|call| line.contains(call));
    let mut complaints = Vec::new();
    for source in sources("src", "rs") {
        if ["src/store/transaction.rs", "src/store/connection.rs"].contains(&source.path.as_str()) {
            continue;
        }
        for (line, _) in (1..).zip(source.code().lines()).filter(|(_, line)| begins(line)) {
            complaints.push(format!("{}:{line}: use store::transaction::in_transaction", source.path));
        }
    }
    none(&complaints);
}

/// A path at its root: `diesel` of `diesel::insert_into`, `crate` and the sibling of `crate::store::Store`.
struct Mention {
    line: usize,
    root: String,
    sibling: Option<String>,
}

/// A name or a sign, and its line.
type Token = (usize, String);

fn mentions(source: &Source) -> Vec<Mention> {
    let tokens = tokens(&source.code());
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|(_, token)| token == text);
    let mut mentions = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (line, token) = &tokens[at];
        let starts = is_name(token) && is(at + 1, "::") && (at == 0 || !(is(at - 1, "::") || is(at - 1, ".")));
        if !starts {
            at += 1;
            continue;
        }
        let mut siblings = Vec::new();
        let behind = skip_supers(&tokens, at, depth(&source.path));
        if token == "crate" || (token == "super" && behind > at) {
            siblings = first_names(&tokens, behind + 2);
        }
        if siblings.is_empty() {
            mentions.push(Mention { line: *line, root: token.clone(), sibling: None });
        }
        mentions.extend(siblings.into_iter().map(|(line, name)| Mention {
            line,
            root: token.clone(),
            sibling: Some(name),
        }));
        at = end_of_path(&tokens, at);
    }
    mentions
}

/// How many modules a file lies deep: 1 for `src/clock.rs` and `src/store/mod.rs`.
fn depth(path: &str) -> usize {
    path.trim_start_matches("src/").trim_end_matches("/mod.rs").split('/').count()
}

/// The last `super` of a chain that climbs out to the root of the crate, or `at`.
fn skip_supers(tokens: &[Token], at: usize, depth: usize) -> usize {
    let chain = tokens[at..].iter().step_by(2).take_while(|(_, token)| token == "super").count();
    if chain > 1 && chain >= depth { at + 2 * (chain - 1) } else { at }
}

/// The names right behind `crate::`: one, or those of a group.
fn first_names(tokens: &[Token], at: usize) -> Vec<Token> {
    let Some((line, token)) = tokens.get(at) else { return Vec::new() };
    if token != "{" {
        return vec![(*line, token.clone())];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for (index, (line, token)) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && is_name(name) && ["{", ","].contains(&tokens[index - 1].1.as_str()) => {
                names.push((*line, name.to_owned()));
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Behind a path and, when it ends in a group, behind that: what is inside names nothing of the root.
fn end_of_path(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at + 1).is_some_and(|(_, token)| token == "::") {
        at += 2;
    }
    if tokens.get(at).is_none_or(|(_, token)| token != "{") {
        return at + 1;
    }
    let mut depth = 0;
    for (index, (_, token)) in tokens.iter().enumerate().skip(at) {
        depth += i32::from(token == "{") - i32::from(token == "}");
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let length = if name > 0 {
                name
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((line, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

#[test]
fn paths_are_read_to_their_root() {
    let text = "use crate::{clock, domain::{id::X, store}, http as h};\nuse super::super::store;\nfn f() { diesel::x::y(); a.log::<T>(); }";
    let source = Source { path: "src/domain/queue/mod.rs".into(), text: text.into() };
    let found: Vec<_> = mentions(&source).into_iter().map(|m| (m.line, m.sibling.unwrap_or(m.root))).collect();
    let expected = [(1, "clock"), (1, "domain"), (1, "http"), (2, "store"), (3, "diesel")];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
}
