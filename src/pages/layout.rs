//! What stands around every page.

use maud::{DOCTYPE, Markup, html};

use super::{assets, parts::field::csrf, session::Visitor};

/// The pages that the navigation leads to: name, path, and the key behind `g`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// `/`
    Overview,
    /// `/subscriptions`
    Subscriptions,
    /// `/deliveries`
    Deliveries,
    /// `/events`
    Events,
    /// `/replays`
    Replays,
    /// `/playground`
    Playground,
    /// `/admin`
    Admin,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Overview,
        Self::Subscriptions,
        Self::Deliveries,
        Self::Events,
        Self::Replays,
        Self::Playground,
        Self::Admin,
    ];

    const fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "/", "o"),
            Self::Subscriptions => ("Subscriptions", "/subscriptions", "s"),
            Self::Deliveries => ("Deliveries", "/deliveries", "d"),
            Self::Events => ("Events", "/events", "e"),
            Self::Replays => ("Replays", "/replays", "r"),
            Self::Playground => ("Playground", "/playground", "p"),
            Self::Admin => ("Admin", "/admin", "a"),
        }
    }

    /// Whether it is for `visitor`.
    fn is_for(self, visitor: &Visitor) -> bool {
        match self {
            Self::Overview | Self::Subscriptions | Self::Deliveries | Self::Replays | Self::Playground => true,
            Self::Admin => visitor.sees_all(),
            Self::Events => visitor.owner.role.may_publish(),
        }
    }
}

/// A page of `section` for whoever is logged in.
pub(super) fn shell(visitor: &Visitor, section: Section, title: &str, body: Markup) -> Markup {
    let (owner, role) = (&visitor.owner.name, visitor.owner.role.as_str());
    document(
        title,
        html! {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                a.brand href="/" { "Postrider" }
                nav aria-label="Pages" {
                    ul {
                        @for other in Section::ALL.into_iter().filter(|other| other.is_for(visitor)) {
                            @let (name, path, key) = other.told();
                            @let current = (other == section).then_some("page");
                            li { a href=(path) data-key=(key) aria-current=[current] { (name) } }
                        }
                    }
                }
                form.who method="post" action="/logout" {
                    (csrf(visitor))
                    span title=(role) { (owner) }
                    button.quiet type="submit" { "Log out" }
                }
            }
            main id="main" tabindex="-1" {
            @if let Some(told) = visitor.told { p.told role="status" { (told) } }
            (body)
        }
            footer {
                p {
                    "Keys: " kbd { "g" } " and the first letter of a page goes there, " kbd { "/" } " goes to the filter. "
                    a href="/api/docs" { "The API" }
                }
            }
        },
    )
}

/// A page without navigation.
pub(super) fn bare(title: &str, body: Markup) -> Markup {
    document(title, html! { main.bare id="main" { p.brand { "Postrider" } (body) } })
}

fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Postrider" }
                link rel="icon" href=(assets::icon()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::style());
                script src=(assets::script()) defer {}
            }
            body { (body) }
        }
    }
}
