//! Which of the contract's routes a path names (contract, section 1).

use percent_encoding::percent_decode_str;

use super::json::Int;

/// What every path of the contract begins with.
pub(super) const PREFIX: &str = "/whisperer";

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    Hooks,
    Registry,
    Hook(Id),
    HookEvents,
    HookEvent(Id),
    Retry(Id),
    EventQueues,
    EventQueue(Id),
}

/// What stands in an id's place; `None` for what can be no id.
pub(super) type Id = Option<i64>;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A route.
    Place(Place),
    /// A route, but for the slash at its end.
    WithoutSlash(Place),
    /// A route to one thing, with a point in the id: the reference reads what follows as a format, which it has not.
    OtherFormat(Place),
    /// Nothing.
    Nothing,
}

/// What is at `path`, percent-encoded as it came.
pub(super) fn find(path: &str) -> Found {
    let path = percent_decode_str(path).decode_utf8_lossy();
    let Some(rest) = path.strip_prefix(PREFIX) else { return Found::Nothing };
    if rest.is_empty() {
        return Found::WithoutSlash(Place::Root);
    }
    let Some(rest) = rest.strip_prefix('/') else { return Found::Nothing };
    if rest.is_empty() {
        return Found::Place(Place::Root);
    }
    let (rest, has_slash) = rest.strip_suffix('/').map_or((rest, false), |rest| (rest, true));
    match place(rest) {
        None | Some(Place::Retry(None)) if rest.contains('.') => Found::Nothing,
        None => Found::Nothing,
        Some(place) if rest.contains('.') => Found::OtherFormat(place),
        Some(place) if has_slash => Found::Place(place),
        Some(place) => Found::WithoutSlash(place),
    }
}

fn place(path: &str) -> Option<Place> {
    let segments: Vec<&str> = path.split('/').collect();
    match segments[..] {
        ["hooks"] => Some(Place::Hooks),
        ["hooks", "registry"] => Some(Place::Registry),
        ["hooks", id] if !id.is_empty() => Some(Place::Hook(read_id(id))),
        ["hook_events"] => Some(Place::HookEvents),
        ["hook_events", id] if !id.is_empty() => Some(Place::HookEvent(read_id(id))),
        ["hook_events", id, "retry"] if !id.is_empty() => Some(Place::Retry(read_id(id))),
        ["event_queues"] => Some(Place::EventQueues),
        ["event_queues", id] if !id.is_empty() => Some(Place::EventQueue(read_id(id))),
        _ => None,
    }
}

/// An id as Python's `int` reads it.
pub(super) fn read_id(text: &str) -> Id {
    Int::parse(text)?.as_str().parse().ok()
}

impl Place {
    /// The methods, in the order of the contract's table.
    pub(super) const fn allow(self) -> &'static str {
        match self {
            Self::Hooks => "GET, POST, HEAD, OPTIONS",
            Self::Hook(_) => "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
            Self::Retry(_) => "POST, OPTIONS",
            Self::Root
            | Self::Registry
            | Self::HookEvents
            | Self::HookEvent(_)
            | Self::EventQueues
            | Self::EventQueue(_) => "GET, HEAD, OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_routes_are_those_of_the_contract() {
        for (path, place) in [
            ("/whisperer/", Place::Root),
            ("/whisperer/hooks/", Place::Hooks),
            ("/whisperer/hooks/registry/", Place::Registry),
            ("/whisperer/hooks/7/", Place::Hook(Some(7))),
            ("/whisperer/hooks/007/", Place::Hook(Some(7))),
            ("/whisperer/hooks/-1/", Place::Hook(Some(-1))),
            ("/whisperer/hooks/abc/", Place::Hook(None)),
            ("/whisperer/hooks/%20/", Place::Hook(None)),
            ("/whisperer/hooks/99999999999999999999/", Place::Hook(None)),
            ("/whisperer/hook_events/", Place::HookEvents),
            ("/whisperer/hook_events/8/", Place::HookEvent(Some(8))),
            ("/whisperer/hook_events/8/retry/", Place::Retry(Some(8))),
            ("/whisperer/event_queues/", Place::EventQueues),
            ("/whisperer/event_queues/9/", Place::EventQueue(Some(9))),
        ] {
            assert_eq!(find(path), Found::Place(place), "{path}");
            let without = path.strip_suffix('/').expect("every route ends in a slash");
            assert_eq!(find(without), Found::WithoutSlash(place), "{without}");
        }
    }

    #[test]
    fn a_point_asks_for_another_format() {
        for (path, place) in [
            ("/whisperer/hooks/1.5/", Place::Hook(None)),
            ("/whisperer/hooks/7.json", Place::Hook(None)),
            ("/whisperer/hook_events/7.json/", Place::HookEvent(None)),
        ] {
            assert_eq!(find(path), Found::OtherFormat(place), "{path}");
        }
    }

    #[test]
    fn everything_else_is_nothing() {
        for path in [
            "/",
            "/whispererx/",
            "/whisperer//",
            "/whisperer//hooks/",
            "/whisperer/hooks//",
            "/whisperer/nope/",
            "/whisperer/hooks/7/nope/",
            "/whisperer/hooks/7/retry/",
            "/whisperer/hook_events/8/retry/9/",
            "/whisperer/event_queues/9/retry/",
            "/whisperer/hooks/a%2Fb/",
            "/whisperer/hooks.json",
            "/whisperer/hook_events/7.json/retry/",
            "/whisperer/hooks/%ff%00/x/",
        ] {
            assert_eq!(find(path), Found::Nothing, "{path}");
        }
    }
}
