//! What receivers get: the `webhooks` of the document.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, OpenApi, PathItem, Paths, Ref, RefOr, ResponseBuilder,
        path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
        request_body::RequestBodyBuilder,
        schema::{ObjectBuilder, Schema, SchemaType, Type},
    },
};

/// The body of a delivery: what happened, and to what.
#[derive(Serialize, ToSchema)]
struct Envelope {
    event: EnvelopeEvent,
    /// The payload, byte for byte as it was published.
    payload: Value,
}

/// Which event a delivery is of.
#[derive(Serialize, ToSchema)]
struct EnvelopeEvent {
    /// The event type.
    #[schema(example = "package.status.shipped")]
    r#type: String,
    /// The same on every attempt of this delivery: a receiver recognises a repeat by it.
    uuid: uuid::Uuid,
}

const SUMMARY: &str = "A delivery to the endpoint of a subscription";
const DESCRIPTION: &str = "\
Sent to `target_url` when an event of the subscription's type was accepted, and again until a 2xx comes back or the retry \
policy gives up. Anything else than a 2xx is a failure, a redirect too. `429` and `503` may say with `Retry-After` how long \
to wait; `410` pauses the subscription. Body, `webhook-id` and `event.uuid` are the same on every attempt.";

/// Name, whether it is there without a secret, and what it is.
const HEADERS: [(&str, bool, &str); 5] = [
    ("X-Whisperer-Event", true, "The event type"),
    ("webhook-id", true, "The same as `event.uuid` (Standard Webhooks)"),
    ("webhook-timestamp", true, "When this attempt was made, in seconds since 1970"),
    (
        "webhook-signature",
        false,
        "With a secret: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; several, divided by blanks, while a \
         secret is being replaced",
    ),
    ("X-Whisperer-Signature", false, "With a secret: `sha256=` and the HMAC-SHA256 of the body in hex"),
];

/// Adds what receivers get.
pub(super) fn add_to(api: &mut OpenApi) {
    let components = api.components.get_or_insert_default();
    components.schemas.insert(Envelope::name().into_owned(), Envelope::schema());
    components.schemas.insert(EnvelopeEvent::name().into_owned(), EnvelopeEvent::schema());
    let example = json!({
        "event": {"type": "package.status.shipped", "uuid": "0b5d7ac2-8a1f-8d3c-9f00-1c2d3e4f5a6b"},
        "payload": {"id": 73, "status": "shipped"},
    });
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Envelope::name()))).example(Some(example));
    let operation = OperationBuilder::new()
        .operation_id(Some("delivery"))
        .summary(Some(SUMMARY))
        .description(Some(DESCRIPTION))
        .parameters(Some(HEADERS.map(header)))
        .request_body(Some(RequestBodyBuilder::new().content("application/json", content.build()).build()))
        .response("2XX", ResponseBuilder::new().description("It arrived"))
        .response("410", ResponseBuilder::new().description("Gone for good: the subscription is paused"))
        .response(
            "default",
            ResponseBuilder::new().description("A failure: it is attempted again by the retry policy"),
        );
    let mut webhooks = Paths::new();
    webhooks.paths.insert("delivery".to_owned(), PathItem::new(HttpMethod::Post, operation));
    api.webhooks = Some(webhooks);
}

fn header((name, is_always, description): (&str, bool, &str)) -> Parameter {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(if is_always { utoipa::openapi::Required::True } else { utoipa::openapi::Required::False })
        .description(Some(description))
        .schema(Some(RefOr::T(Schema::Object(text))))
        .build()
}
