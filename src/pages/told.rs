//! What a page says first after an order was carried out: sentences of ours, named in the path that the browser is sent to.

use super::answer::encoded;

/// Names and what they stand for.
const SENTENCES: [(&str, &str); 18] = [
    ("made", "The subscription stands."),
    ("changed", "It is changed, for what waits too."),
    ("paused", "It is paused: nothing more starts, and what is in flight finishes."),
    ("resumed", "It is resumed: what it is owed is delivered, the oldest first."),
    ("ended", "It is over: it gets nothing any more, and what it was owed is cancelled."),
    ("skipped", "The delivery is given up, and the next of its key goes."),
    ("aside", "The delivery is set aside, and the next of its key goes."),
    ("released", "The delivery is due now, and its retry policy begins again."),
    ("cancelled", "The delivery is called off."),
    ("arrived", "It was attempted again, and arrived."),
    ("attempted", "It was attempted again, and did not arrive."),
    ("ordered", "The replay is ordered."),
    ("stopped", "The replay is called off; what it has put back stays owed."),
    ("user-changed", "The user is changed."),
    ("revoked", "The token is gone, and refused at once."),
    ("bin-changed", "The bin answers so from now on."),
    ("filled", "What the subscription would send is in the bin."),
    ("removed", "The bin is gone."),
];

/// The sentence of a name.
pub(super) fn sentence(name: &str) -> Option<&'static str> {
    SENTENCES.iter().find(|(known, _)| *known == name).map(|(_, sentence)| *sentence)
}

/// The sentence that the query string of a request names.
pub(super) fn sentence_in(query: &str) -> Option<&'static str> {
    query.split('&').find_map(|pair| pair.strip_prefix("told=")).and_then(sentence)
}

/// The path `to`, where `name` is told.
pub(super) fn telling(to: &str, name: &str) -> String {
    let (to, fragment) = to.split_once('#').map_or((to, String::new()), |(to, rest)| (to, format!("#{rest}")));
    let (path, query) = to.split_once('?').unwrap_or((to, ""));
    let others: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("told=")).collect();
    let told = format!("told={}", encoded(name));
    let query = others.into_iter().chain([told.as_str()]).collect::<Vec<_>>().join("&");
    format!("{path}?{query}{fragment}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_sentences_are_told() {
        assert_eq!(sentence_in("after=3&told=paused"), sentence("paused"));
        assert_eq!(sentence_in("told=%3Cscript%3E"), None);
        assert_eq!(sentence_in(""), None);
    }

    #[test]
    fn the_way_back_keeps_its_filter() {
        assert_eq!(telling("/deliveries?state=dead&told=skipped", "aside"), "/deliveries?state=dead&told=aside");
        assert_eq!(telling("/subscriptions/7#queue", "aside"), "/subscriptions/7?told=aside#queue");
    }
}
