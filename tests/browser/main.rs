//! The pages in a real browser: a person logs in, subscribes, sees a delivery fail and come after all, pauses, resumes, sends
//! again and filters; then every page is looked at in light, in dark and on a phone, by axe-core for accessibility. Nothing
//! may be told in the browser's console, asked of another host or be wider than the screen.
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

fn the_pages_work_in_a_browser(database: &Database) {
    let (sink, engine) = (Sink::start(), Engine::start(&database.url(), &[]));
    let mut is_first = true;
    sink.decide("/in", move |_| Behaviour::status(if std::mem::take(&mut is_first) { 500 } else { 200 }));
    let story = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("browser").join("story.py");
    let leftovers = target().join("browser");
    run(python("python").arg(story).args([engine.base(), TOKEN, &sink.url("/in")]).arg(leftovers));
    assert_eq!(sink.count("/in"), 4, "two events, one retry and one that was ordered");
}
