//! What a retry policy comes to: when each attempt of a delivery is made that never arrives.

use std::time::Duration;

use maud::{Markup, html};

use super::time::span;
use crate::domain::{retry::RetryPolicy, time::Timestamp};

/// How long after the first attempt each one is due, when every attempt fails at once.
fn schedule(policy: &RetryPolicy) -> Vec<Duration> {
    let began = Timestamp::EPOCH;
    std::iter::once(began).chain(policy.forecast(1, began, began)).map(|due| due.since(began)).collect()
}

/// The waits as a list.
pub(in crate::pages) fn timeline(policy: &RetryPolicy) -> Markup {
    let due = schedule(policy);
    let is_random = matches!(policy, RetryPolicy::Random { .. });
    let last = due.last().copied().unwrap_or_default();
    html! {
        p.soft {
            @if is_random { "About: the waits are random. " }
            "A delivery that never arrives is attempted " (due.len()) " times within " (said(last)) ", then it is dead."
        }
        ol.retries {
            @for (number, at) in (1..).zip(&due) {
                li { span.soft { (number) } " " (if number == 1 { "at once".to_owned() } else { format!("+ {}", said(*at)) }) }
            }
        }
    }
}

fn said(at: Duration) -> String {
    if at.is_zero() { "0 s".to_owned() } else { span(at) }
}

/// The policy in words.
pub(in crate::pages) fn sentence(policy: &RetryPolicy) -> String {
    let limit = |limit| match limit {
        crate::domain::retry::Limit::Seconds(seconds) => {
            format!(", at most {}", said(Duration::from_secs(u64::from(seconds))))
        }
        crate::domain::retry::Limit::Unstated | crate::domain::retry::Limit::Null => String::new(),
    };
    match *policy {
        RetryPolicy::Fixed { seconds } => format!("fixed: {seconds} s"),
        RetryPolicy::Linear { base, limit: most } => format!("linear: {base} s more each time{}", limit(most)),
        RetryPolicy::Exponential { base, factor, limit: most } => {
            format!("exponential: {factor} s, {base} times as long each time{}", limit(most))
        }
        RetryPolicy::Random { min_value, max_value } => format!("random: {min_value} to {max_value} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_followed_by_the_hour() {
        let due = schedule(&RetryPolicy::Fixed { seconds: 60 });
        assert_eq!((due.len(), due[0], due[10]), (19, Duration::ZERO, Duration::from_mins(10)));
        assert_eq!(due[11], Duration::from_mins(70));
        assert_eq!(due[18], Duration::from_mins(10) + Duration::from_hours(8));
        let about = timeline(&RetryPolicy::Random { min_value: 10, max_value: 20 }).into_string();
        assert!(about.contains("About") && about.contains("+ 15 s"), "{about}");
    }
}
