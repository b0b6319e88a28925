//! The tables, as both databases have them after the migrations. `tests/store` compares the two.

use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

table! {
    owners (id) {
        id -> Integer,
        name -> Text,
        role -> SmallInt,
        is_active -> Bool,
        created_at -> BigInt,
    }
}

table! {
    tokens (id) {
        id -> Integer,
        owner_id -> Integer,
        digest -> Binary,
        created_at -> BigInt,
    }
}

table! {
    subscriptions (id) {
        id -> Integer,
        owner_id -> Integer,
        version -> BigInt,
        event_type -> Text,
        target_url -> Text,
        is_active -> Bool,
        secret_key -> Nullable<Text>,
        retiring_secrets -> Nullable<Text>,
        retry_countdown_config -> Text,
        callback -> Nullable<Text>,
        additional_headers -> Text,
        config -> Text,
        max_in_flight -> Integer,
        held_since -> Nullable<BigInt>,
        held_until -> Nullable<BigInt>,
        held_reason -> Nullable<Text>,
        held_by -> Nullable<Text>,
        held_mode -> Nullable<SmallInt>,
        resume_per_second -> Nullable<Integer>,
        resume_up_to -> Nullable<BigInt>,
        created_at -> BigInt,
        modified_at -> BigInt,
        ordering -> SmallInt,
        rate_per_second -> Nullable<Integer>,
        rate_burst -> Nullable<Integer>,
        max_age_seconds -> Nullable<BigInt>,
        failing_since -> Nullable<BigInt>,
    }
}

table! {
    events (id) {
        id -> BigInt,
        publisher_id -> Integer,
        event_type -> Text,
        ordering_key -> Nullable<Text>,
        accepted_at -> BigInt,
        deliveries -> Integer,
        payload -> Binary,
        payload_erased_at -> Nullable<BigInt>,
    }
}

table! {
    deliveries (id) {
        id -> BigInt,
        event_id -> BigInt,
        subscription_id -> Integer,
        state -> SmallInt,
        attempts -> Integer,
        due_at -> BigInt,
        first_recorded_at -> Nullable<BigInt>,
        recorded_at -> Nullable<BigInt>,
        uncounted_attempts -> Integer,
        replayed_at -> Nullable<BigInt>,
    }
}

table! {
    attempts (delivery_id, number) {
        delivery_id -> BigInt,
        number -> Integer,
        started_at -> BigInt,
        duration_us -> BigInt,
        status -> Nullable<SmallInt>,
        failure -> Nullable<SmallInt>,
        message -> Nullable<Text>,
        content_type -> Nullable<Text>,
        body -> Nullable<Binary>,
        remote_address -> Nullable<Text>,
        dns_us -> Nullable<BigInt>,
        connect_us -> Nullable<BigInt>,
        tls_us -> Nullable<BigInt>,
        first_byte_us -> Nullable<BigInt>,
        response_headers -> Nullable<Text>,
        response_headers_cut -> Nullable<Bool>,
        request_head -> Nullable<BigInt>,
    }
}

table! {
    request_heads (subscription_id, digest) {
        subscription_id -> Integer,
        digest -> BigInt,
        url -> Text,
        headers -> Text,
    }
}

table! {
    interventions (delivery_id) {
        delivery_id -> BigInt,
        decision -> SmallInt,
        decided_by -> Text,
        reason -> Nullable<Text>,
        decided_at -> BigInt,
    }
}

table! {
    idempotency_keys (publisher_id, publisher_key) {
        publisher_id -> Integer,
        publisher_key -> Binary,
        digest -> Binary,
        event_id -> BigInt,
        expires_at -> BigInt,
    }
}

table! {
    event_types (name) {
        name -> Text,
        description -> Nullable<Text>,
        json_schema -> Nullable<Text>,
        example -> Nullable<Text>,
        validates -> Bool,
        created_at -> BigInt,
        modified_at -> BigInt,
    }
}

table! {
    audit (id) {
        id -> Integer,
        changed_at -> BigInt,
        actor_id -> Nullable<Integer>,
        actor -> Text,
        action -> Text,
        subject -> Text,
        owner_id -> Nullable<Integer>,
        was -> Nullable<Text>,
        became -> Nullable<Text>,
    }
}

table! {
    rollups (subscription_id, until_at) {
        subscription_id -> Integer,
        until_at -> BigInt,
        succeeded -> BigInt,
        failed -> BigInt,
        delivered -> BigInt,
        dead -> BigInt,
        expired -> BigInt,
        latencies -> Binary,
    }
}

table! {
    replays (id) {
        id -> Integer,
        subscription_id -> Integer,
        running_for -> Nullable<Integer>,
        stage -> SmallInt,
        states -> SmallInt,
        accepted_from -> Nullable<BigInt>,
        accepted_to -> BigInt,
        event_type -> Nullable<Text>,
        per_second -> Nullable<Integer>,
        done_up_to -> BigInt,
        replayed -> BigInt,
        skipped -> BigInt,
        ordered_by -> Text,
        ordered_at -> BigInt,
        ended_at -> Nullable<BigInt>,
    }
}

table! {
    erasures (subscription_id) {
        subscription_id -> Integer,
        up_to -> BigInt,
        ordered_by -> Text,
        ordered_at -> BigInt,
    }
}

joinable!(tokens -> owners (owner_id));
joinable!(subscriptions -> owners (owner_id));
joinable!(deliveries -> events (event_id));
joinable!(deliveries -> subscriptions (subscription_id));
joinable!(attempts -> deliveries (delivery_id));
joinable!(replays -> subscriptions (subscription_id));
joinable!(erasures -> subscriptions (subscription_id));
table! {
    leases (id) {
        id -> SmallInt,
        token -> BigInt,
    }
}

allow_tables_to_appear_in_same_query!(
    owners,
    tokens,
    subscriptions,
    events,
    deliveries,
    attempts,
    request_heads,
    interventions,
    idempotency_keys,
    replays,
    erasures,
    event_types,
    audit,
    rollups,
    leases
);
