//! The refusals of the native API as the document tells them: each type here stands for what several operations have in
//! common, and its examples are the bodies that are really sent.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder,
        example::ExampleBuilder,
        schema::{Schema, SchemaType, Type},
    },
};

use crate::{
    domain::id::{ReplayId, SubscriptionId},
    http::{
        auth::Refused,
        problem::{Problem, ProblemBody},
    },
};

/// Whether a refusal says when to come again.
#[derive(Clone, Copy)]
enum Again {
    Never,
    /// It may.
    Perhaps,
}

/// One refusal with examples of its kinds.
fn refusal(status: &str, description: &str, again: Again, kinds: &[Problem]) -> (String, RefOr<Response>) {
    let examples = kinds.iter().map(|problem| {
        let body = problem.body();
        let name = body["type"].as_str().and_then(|urn| urn.rsplit(':').next()).unwrap_or_default().to_owned();
        (name, ExampleBuilder::new().value(Some(body)).build())
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemBody::name())))
        .examples_from_iter(examples.collect::<BTreeMap<_, _>>());
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content.build());
    let response = match again {
        Again::Never => response,
        Again::Perhaps => response.header("Retry-After", retry_after()),
    };
    (status.to_owned(), response.build().into())
}

fn retry_after() -> utoipa::openapi::Header {
    let seconds = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer)).minimum(Some(0));
    HeaderBuilder::new()
        .schema(Some(RefOr::T(Schema::Object(seconds.build()))))
        .description(Some("Seconds after which it may work, when there is any hope."))
        .build()
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $status:literal, $description:literal, $again:expr, [$($kind:expr),+ $(,)?];)+) => {$(
        $(#[$doc])*
        pub(in crate::http) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [refusal($status, $description, $again, &[$($kind),+])].into()
            }
        }
    )+};
}

refusals! {
    /// The request cannot be read.
    Malformed: "400", "The request cannot be read", Again::Never,
        [Problem::malformed("The body is not valid: missing field `event_type` at line 1 column 2.")];
    /// Not with this role.
    Forbidden: "403", "The owner of this token may not do this", Again::Never,
        [Problem::forbidden("Publishing needs the role publisher or admin.")];
    /// No such thing.
    Missing: "404", "There is no such thing, or it is not yours", Again::Never,
        [Problem::not_found("There is no subscription with this id, or it is not yours.")];
    /// A body that is too large.
    TooLarge: "413", "The body is larger than this path takes", Again::Never, [Problem::body_too_large()];
    /// Not JSON.
    NotJson: "415", "The body is of another kind", Again::Never,
        [Problem::unsupported_media_type("application/json")];
    /// Something impossible.
    Invalid: "422", "The request can be read, and asks for something impossible", Again::Never,
        [
            Problem::invalid("\"limit\" must be from 1 to 200."),
            Problem::unknown_event_type("package.exploded", &["package.created"]),
            Problem::reserved_event_type("postrider.subscription.failing"),
        ];
    /// The key stands for another event.
    KeyTaken: "409", "The idempotency key stands for another event", Again::Never, [Problem::key_reused()];
    /// Nothing is owed any more.
    Settled: "409", "The delivery is settled", Again::Never, [Problem::settled("delivered", "cancelled")];
    /// The subscription is there already.
    Registered: "409", "There is a subscription with this event type and endpoint already", Again::Never,
        [Problem::already_registered(Some(SubscriptionId::from_raw(7)))];
    /// An event type that stays.
    TypeStays: "409", "The event type is built in, or active subscriptions have it", Again::Never,
        [
            Problem::type_in_use("order.placed", SubscriptionId::from_raw(7)),
            Problem::built_in_type("package.created"),
        ];
    /// A name or a token is somebody else's.
    Taken: "409", "The name or the token is taken", Again::Never,
        [Problem::taken("There is a user of this name already.")];
    /// It was changed in between.
    Outdated: "412", "It was changed since it was read", Again::Never, [Problem::outdated(8)];
    /// Only what is set aside can be released.
    NotSetAside: "409", "The delivery is not set aside", Again::Never, [Problem::not_set_aside("pending")];
    /// Only what is paused can be resumed in a special way.
    NotPaused: "409", "The subscription is not paused", Again::Never, [Problem::not_paused()];
    /// One replay at a time, and of what is active only.
    NoReplay: "409", "A replay runs already, or the subscription is inactive", Again::Never,
        [Problem::replay_runs(ReplayId::from_raw(7)), Problem::inactive()];
    /// The payload is gone.
    Erased: "410", "The payload was erased", Again::Never, [Problem::erased()];
    /// An attempt is under way.
    Busy: "409", "An attempt is under way", Again::Perhaps, [Problem::attempt_under_way()];
}

/// What every operation that needs a token may answer.
pub(in crate::http) struct Always;

impl IntoResponses for Always {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let (status, no_token) =
            refusal("401", "The request needs a valid token", Again::Never, &[Refused::Missing.into()]);
        let mut responses: BTreeMap<_, _> = [(status, no_token)].into();
        responses.extend(Troubled::responses());
        responses
    }
}

/// What every operation may answer when something is wrong with us.
pub(in crate::http) struct Troubled;

impl IntoResponses for Troubled {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            refusal(
                "500",
                "Something went wrong on our side; the log tells more",
                Again::Never,
                &[Problem::incident("5f1c0d9b2a7e4c68")],
            ),
            refusal(
                "503",
                "The database is away, or the engine is busy",
                Again::Perhaps,
                &[Problem::unavailable(), Problem::busy()],
            ),
        ]
        .into()
    }
}

/// What an operation with a JSON body may answer to it.
pub(in crate::http) struct BadBody;

impl IntoResponses for BadBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [Malformed::responses(), TooLarge::responses(), Invalid::responses()].into_iter().flatten().collect()
    }
}

/// What an operation with a query may answer to it.
pub(in crate::http) struct BadQuery;

impl IntoResponses for BadQuery {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [Malformed::responses(), Invalid::responses()].into_iter().flatten().collect()
    }
}
