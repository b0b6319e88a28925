//! The recorded cases of the contract, played in their order: a file of `cases/` is a section, and a section is a test
//! with an engine, an empty database and a receiver of its own.
//!
//! Those from `a` to `p` are the contract's own recording. Those with an `s` and a number hold what a section of the contract
//! says beyond it; where no decision of ours is named, the reference gave the same answers. The cases of `n1_timings.json`
//! all run at once and are in [`crate::timings`].

pub(crate) mod compare;
pub(crate) mod notes;
pub(crate) mod section;
mod stage;
mod variables;
mod wire;

use std::{collections::BTreeSet, fs};

use self::{
    section::{Section, folder, number_of_cases},
    stage::Stage,
};
use crate::support::database::{Database, on_both};

/// A test for each file of this name, on both databases.
macro_rules! sections {
    ($($name:ident),+ $(,)?) => {
        on_both! { blocking: $($name),+ }

        const SECTIONS: &[&str] = &[$(stringify!($name)),+];

        $(fn $name(database: &Database) {
            play(stringify!($name), database);
        })+
    };
}

sections! {
    a_authentication,
    b1_create,
    b2_retry_config,
    b3_fields,
    b4_duplicates,
    b5_bodies,
    b6_methods_and_paths,
    c_lists,
    d_retrieve,
    e_put_f_patch,
    g_delete,
    h_registry,
    i_hook_events,
    j_retry,
    k_event_queues,
    m1_requests,
    m2_headers,
    m3_answers,
    m4_fan_out,
    p_pages,
    s1_ids_and_methods,
    s2_tokens,
    s3_bodies,
    s3_texts_and_booleans,
    s4_retry_numbers,
    s5_writes,
    s6_filters,
    s9_wire,
}

/// Files that other tests play.
const PLAYED_ELSEWHERE: &[&str] = &["n1_timings"];
/// What was recorded; more is welcome.
const RECORDED: usize = 304;

fn play(name: &str, database: &Database) {
    let section = Section::read(name);
    let mut stage = Stage::new(name, &section, database);
    for step in &section.steps {
        stage.play(step);
    }
    stage.end(number_of_cases(name));
}

#[test]
fn every_file_is_played() {
    let files = fs::read_dir(folder()).expect("the folder is there");
    let files: BTreeSet<String> =
        files.map(|file| file.expect("it can be read").file_name().to_string_lossy().replace(".json", "")).collect();
    let played: BTreeSet<String> = SECTIONS.iter().chain(PLAYED_ELSEWHERE).map(|name| (*name).to_owned()).collect();
    assert_eq!(files, played);
    let cases: usize = files.iter().map(|name| number_of_cases(name)).sum();
    assert!(cases >= RECORDED, "{cases} cases");
}
