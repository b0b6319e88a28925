-- Times are microseconds since 1970-01-01T00:00:00Z. Ids of events and deliveries are minted by the engine.

CREATE TABLE owners (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role SMALLINT NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE INDEX tokens_owner ON tokens (owner_id);

CREATE TABLE subscriptions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    owner_id INTEGER NOT NULL,
    version BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    target_url TEXT NOT NULL,
    is_active BOOLEAN NOT NULL,
    secret_key TEXT NULL,
    retry_countdown_config TEXT NOT NULL,
    callback TEXT NULL,
    additional_headers TEXT NOT NULL,
    config TEXT NOT NULL,
    max_in_flight INTEGER NOT NULL,
    held_since BIGINT NULL,
    held_until BIGINT NULL,
    held_reason TEXT NULL,
    held_by TEXT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    UNIQUE (owner_id, target_url, event_type)
);

-- INTEGER, not BIGINT: only so is the key of a table its row id.
CREATE TABLE events (
    id INTEGER NOT NULL PRIMARY KEY,
    publisher_id INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    ordering_key TEXT NULL,
    accepted_at BIGINT NOT NULL,
    deliveries INTEGER NOT NULL,
    payload BLOB NOT NULL
);

-- due_at is 0 while nothing holds a delivery back: never attempted, or settled.
CREATE TABLE deliveries (
    id INTEGER NOT NULL PRIMARY KEY,
    event_id BIGINT NOT NULL,
    subscription_id INTEGER NOT NULL,
    state SMALLINT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    first_recorded_at BIGINT NULL,
    recorded_at BIGINT NULL
);
CREATE INDEX deliveries_queue ON deliveries (subscription_id, state, due_at, id);

CREATE TABLE attempts (
    delivery_id BIGINT NOT NULL,
    number INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    status SMALLINT NULL,
    failure SMALLINT NULL,
    message TEXT NULL,
    content_type TEXT NULL,
    body BLOB NULL,
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    publisher_id INTEGER NOT NULL,
    publisher_key BLOB NOT NULL,
    digest BLOB NOT NULL,
    event_id BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (publisher_id, publisher_key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
