//! Filters in query strings, as the forms of pages write them: with every field, most of them empty, and times without a zone.

use actix_web::web::Query;
use serde::de::DeserializeOwned;
use url::form_urlencoded::{Serializer, parse};

use super::orders::in_utc;
use crate::{domain::delivery::State, http::problem::Problem};

/// What is no filter.
const OTHERS: [&str; 4] = ["told", "do", "csrf", "id"];
/// Fields that are times.
const TIMES: [&str; 2] = ["from", "to"];

/// The same query without what is empty or no filter, as the API reads it.
pub(super) fn cleaned(query: &str) -> String {
    let mut cleaned = Serializer::new(String::new());
    for (name, value) in parse(query.as_bytes()) {
        let value = value.trim();
        if !value.is_empty() && !OTHERS.contains(&&*name) {
            let is_time = TIMES.contains(&&*name);
            cleaned.append_pair(&name, &if is_time { in_utc(value) } else { value.to_owned() });
        }
    }
    cleaned.finish()
}

/// Reads a cleaned query as the API does.
///
/// # Errors
/// 400 for what it does not know.
pub(super) fn read<T: DeserializeOwned>(cleaned: &str) -> Result<T, Problem> {
    Query::from_query(cleaned)
        .map(Query::into_inner)
        .map_err(|error| Problem::malformed(format!("The filter cannot be read: {error}.")))
}

/// A cleaned query with one more pair in place of others of its name.
pub(super) fn with(cleaned: &str, name: &str, value: &str) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(parse(cleaned.as_bytes()).filter(|(present, _)| present != name));
    query.append_pair(name, value);
    query.finish()
}

/// A cleaned filter of deliveries as the query that fills in the order of a replay, and what such an order does not know: names
/// and values. Where a page begins is no filter.
pub(super) fn for_replay(cleaned: &str) -> (String, Vec<String>) {
    let (mut order, mut others) = (Serializer::new(String::new()), Vec::new());
    for (name, value) in parse(cleaned.as_bytes()) {
        let can_be_replayed = || State::named(&value).is_some_and(|state| state != State::Pending);
        match &*name {
            "subscription" | "event_type" | "from" | "to" => drop(order.append_pair(&name, &value)),
            "state" if can_be_replayed() => drop(order.append_pair("states", &value)),
            "before" | "limit" => {}
            _ => others.push(format!("{} {value}", name.replace('_', " "))),
        }
    }
    (order.finish(), others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_say_nothing_and_times_are_in_utc() {
        assert_eq!(
            cleaned("state=&host=a.example&told=skipped&from=2026-11-24T03%3A00"),
            "host=a.example&from=2026-11-24T03%3A00%3A00Z"
        );
        assert_eq!(cleaned(""), "");
        assert_eq!(with("state=dead&before=7", "before", "5"), "state=dead&before=5");
    }

    #[test]
    fn a_filter_becomes_the_order_of_a_replay_as_far_as_it_can() {
        let whole = for_replay("state=dead&subscription=7&from=2026-11-24T03%3A00%3A00Z&before=9&limit=5");
        assert_eq!(whole, ("states=dead&subscription=7&from=2026-11-24T03%3A00%3A00Z".to_owned(), Vec::new()));
        assert_eq!(for_replay("state=set_aside"), ("states=set_aside".to_owned(), Vec::new()));
        let (order, others) = for_replay("state=pending&host=a.example&event_type=a.b&ordering_key=x%3A1");
        assert_eq!(order, "event_type=a.b");
        assert_eq!(others, ["state pending", "host a.example", "ordering key x:1"]);
    }
}
