//! What grows with the number of subscriptions and of endpoints: the same load, more of the rest.

use super::{
    figures::{Column, Figures},
    load::Load,
};

const EVENTS: usize = 50_000;

pub(crate) const LOADS: [Load; 6] = [
    among("1 subscription", 0),
    among("1 of 100 matches", 99),
    among("1 of 1,000", 999),
    among("1 of 10,000", 9_999),
    shared_by("100 endpoints", 100),
    shared_by("1,000 endpoints", 1_000),
];

/// One subscription beside `others` that get nothing.
const fn among(name: &'static str, others: usize) -> Load {
    Load { name, events: EVENTS, rate: None, fan_out: 1, endpoints: 1, others, past: 0 }
}

/// As many endpoints that share the load, with a subscription each.
const fn shared_by(name: &'static str, endpoints: usize) -> Load {
    Load { name, events: EVENTS, rate: None, fan_out: 1, endpoints, others: 0, past: 0 }
}

/// What a subscription adds to the memory of the engine, in words. `columns` are those of [`LOADS`] on one database.
pub(crate) fn memory(columns: &[Column]) -> Option<String> {
    let [one, .., ten_thousand, _, thousand_endpoints] = columns else { return None };
    let each_kib = |more: &Column, value: fn(&Figures) -> Option<f64>, count: f64| {
        Some((more.median(value)? - one.median(value)?) * 1_024.0 / count)
    };
    let idle = each_kib(ten_thousand, |run| Some(run.idle_mib), 9_999.0)?;
    let busy = each_kib(thousand_endpoints, |run| Some(run.most_mib), 999.0)?;
    Some(format!("each idle subscription adds {idle:.1} KiB, each endpoint that shares the load {busy:.1} KiB"))
}
