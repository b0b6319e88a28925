//! States as coloured words: the colour repeats what the word says.

use maud::{Markup, html};

use crate::{
    domain::{delivery::State, replay::Stage},
    store::deliveries::Ending,
};

/// How something is doing, as a colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::pages) enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look.
    Warn,
    /// It went wrong.
    Bad,
    /// Neither.
    Calm,
}

/// `word` in the colour of `tone`.
pub(in crate::pages) fn badge(tone: Tone, word: &str) -> Markup {
    let class = match tone {
        Tone::Good => "badge good",
        Tone::Warn => "badge warn",
        Tone::Bad => "badge bad",
        Tone::Calm => "badge calm",
    };
    html! { span class=(class) { (word) } }
}

/// The state of a delivery.
pub(in crate::pages) fn of_delivery(state: State) -> Markup {
    match state {
        State::Pending => badge(Tone::Calm, "pending"),
        State::Delivered => badge(Tone::Good, "delivered"),
        State::Dead => badge(Tone::Bad, "dead"),
        State::Expired => badge(Tone::Bad, "expired"),
        State::Cancelled => badge(Tone::Calm, "cancelled"),
        State::SetAside => badge(Tone::Warn, "set aside"),
    }
}

/// `active`, `paused` or `inactive`.
pub(in crate::pages) fn of_subscription(state: &str) -> Markup {
    let tone = match state {
        "active" => Tone::Good,
        "paused" => Tone::Warn,
        _ => Tone::Calm,
    };
    badge(tone, state)
}

/// How an attempt ended.
pub(in crate::pages) fn of_ending(ending: Option<Ending>) -> Markup {
    match ending {
        Some(Ending::Status(status @ 200..=299)) => badge(Tone::Good, &status.to_string()),
        Some(Ending::Status(status)) => badge(Tone::Bad, &status.to_string()),
        Some(Ending::Failure(class)) => badge(Tone::Bad, class.as_str()),
        None => html! { span.soft { "–" } },
    }
}

/// Where a replay stands.
pub(in crate::pages) fn of_stage(stage: Stage) -> Markup {
    let tone = match stage {
        Stage::Running => Tone::Warn,
        Stage::Done => Tone::Good,
        Stage::Cancelled => Tone::Calm,
    };
    badge(tone, stage.as_str())
}
