//! `/playground`: request bins, and a verifier of signatures.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use maud::{Markup, html};

use super::{
    Pages,
    answer::{Refusal, page, see_other},
    form::Filled,
    layout::{Section, shell},
    parts::{
        field::{Field, alert, csrf},
        time::ago,
    },
    session::{Posted, Visitor},
    verifier::{Finding, verify},
};
use crate::{
    domain::time::Timestamp,
    http::{State, problem::Problem},
};

/// The page.
pub(super) async fn show(state: Data<State>, pages: Data<Pages>, visitor: Visitor) -> HttpResponse {
    page(StatusCode::OK, render(&pages, &visitor, &Filled::default(), &[], state.clock.now()))
}

/// Makes a bin, or verifies signatures, as `do` says.
pub(super) async fn order(state: Data<State>, pages: Data<Pages>, posted: Posted) -> Result<HttpResponse, Refusal> {
    let (Posted { visitor, form }, now) = (posted, state.clock.now());
    if form.raw("do") == Some("bin") {
        let name = pages.bins.make(visitor.owner.id, now);
        let name = name.ok_or_else(|| Problem::invalid("There are too many bins; somebody has to remove one."))?;
        return Ok(see_other(&format!("/playground/bins/{name}")));
    }
    let verified = verify(&form, now);
    let filled = Filled::with(form);
    Ok(match verified {
        Ok(findings) => page(StatusCode::OK, render(&pages, &visitor, &filled, &findings, now)),
        Err((field, fault)) => {
            let filled = filled.fault(field, fault);
            page(StatusCode::UNPROCESSABLE_ENTITY, render(&pages, &visitor, &filled, &[], now))
        }
    })
}

fn render(pages: &Pages, visitor: &Visitor, filled: &Filled, findings: &[Finding], now: Timestamp) -> Markup {
    let bins = pages.bins.of(visitor.owner.id);
    let body = html! {
        div.head { h1 { "Playground" } }
        div.columns {
            section.panel aria-labelledby="bins" {
                h2 id="bins" { "Request bins" }
                p { "A bin is an address that takes every request and shows it here: an endpoint to try a subscription with. It lasts until the engine stops; of three the oldest makes room for a new one." }
                @if !bins.is_empty() {
                    table {
                        thead { tr { th scope="col" { "Bin" } th scope="col" { "Made" } th.number scope="col" { "Requests" } } }
                        tbody {
                            @for (name, since, count) in &bins {
                                tr {
                                    th scope="row" { a href={ "/playground/bins/" (name) } { code { (name.get(..8).unwrap_or(name)) "…" } } }
                                    td { (ago(*since, now)) }
                                    td.number { (count) }
                                }
                            }
                        }
                    }
                }
                form method="post" action="/playground" {
                    (csrf(visitor))
                    button.primary type="submit" name="do" value="bin" { "Make a bin" }
                }
            }
            section.panel aria-labelledby="verifier" {
                h2 id="verifier" { "Verify signatures" }
                @for finding in findings { (told(finding)) }
                (form(visitor, filled))
            }
        }
    };
    shell(visitor, Section::Playground, "Playground", body)
}

fn told(finding: &Finding) -> Markup {
    let class = if finding.is_good { "told" } else { "alert" };
    html! {
        p class=(class) role="status" { strong { (finding.what) } " " (finding.sentence) }
    }
}

fn form(visitor: &Visitor, filled: &Filled) -> Markup {
    let line = |name, label, hint| Field::new(name, label).hint(hint).render(filled, "");
    html! {
        form method="post" action="/playground" data-filter {
            (csrf(visitor)) (alert(filled))
            (Field::new("secret", "Secret").secret().required().hint("Kept nowhere.").render(filled, ""))
            (Field::new("body", "Body").lines().hint("Byte for byte, as it came.").render(filled, ""))
            (line("id", "webhook-id", ""))
            (line("timestamp", "webhook-timestamp", "Seconds."))
            (line("signature", "webhook-signature", "v1,… (several are parted by blanks)"))
            (line("whisperer", "x-whisperer-signature", "sha256=…, over the body alone"))
            button.primary type="submit" name="do" value="verify" { "Verify" }
        }
    }
}
