//! The pages in a real browser: a person logs in, subscribes, sees a delivery fail and come after all, pauses, resumes, sends
//! again, redelivers what was given up and orders a replay; then every page that there is is looked at in light, in dark and on
//! a phone, by axe-core for accessibility. Nothing may be told in the browser's console, asked of another host or be wider
//! than the screen. What went wrong is left as pictures in `browser` below the build.
//!
//! Chromium is driven by `story.py`; `scripts/prepare tests` installs both. A step of its own in `make test`.

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use support::{
    database::{Database, on_both},
    engine::{Engine, TOKEN},
    python::{python, run, target},
    sink::{Behaviour, Sink},
};

on_both! { blocking: the_pages_work_in_a_browser }

/// The paths at which there is a page, as its routes have them: all that is seen but the assets.
fn paths() -> Vec<&'static str> {
    let routes = include_str!("../../src/pages/mod.rs").split(".route(\"").skip(1);
    let seen = routes.filter_map(|route| route.split_once("\", seen()").filter(|(path, _)| !path.contains('"')));
    seen.map(|(path, _)| path).filter(|path| !path.starts_with("/assets/")).collect()
}

fn the_pages_work_in_a_browser(database: &Database) {
    let (sink, engine) = (Sink::start(), Engine::start(&database.url(), &[]));
    let failing = |path: &str, first: usize| {
        let mut seen = 0;
        sink.decide(path, move |_| {
            seen += 1;
            Behaviour::status(if seen <= first { 500 } else { 200 })
        });
        sink.url(path)
    };
    let (receiver, down) = (failing("/in", 1), failing("/down", 3));
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("browser").join("story.py");
    let kind = if database.is_mariadb() { "mariadb" } else { "sqlite" };
    let leftovers = target().join("browser").join(kind);
    let paths = paths();
    assert!(paths.contains(&"/") && paths.contains(&"/admin/users/{id}"), "these are no pages: {paths:?}");
    run(python("python").arg(story).args([engine.base(), TOKEN, &receiver, &down]).arg(leftovers).args(paths));
    assert_eq!(
        sink.count("/in"),
        7,
        "two events, one retry, one that was ordered, one test and two that were replayed"
    );
    assert_eq!(sink.count("/down"), 6, "three events, given up after one attempt, and redelivered");
}
