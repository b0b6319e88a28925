-- What is known of event types: those of an installation's own, and what was added to the built-in ones.
CREATE TABLE event_types (
    name TEXT NOT NULL PRIMARY KEY,
    description TEXT NULL,
    json_schema TEXT NULL,
    example TEXT NULL,
    validates BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
) WITHOUT ROWID;

-- Every change that a person made: who, when, what, and whose it is. was and became are JSON objects without secrets.
CREATE TABLE audit (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    changed_at BIGINT NOT NULL,
    actor_id INTEGER NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    owner_id INTEGER NULL,
    was TEXT NULL,
    became TEXT NULL
);
CREATE INDEX audit_owner ON audit (owner_id, id);

-- What became of a subscription's attempts, added up from the row before to until_at. latencies: a count of four bytes for
-- each bucket, the lowest first.
CREATE TABLE rollups (
    subscription_id INTEGER NOT NULL,
    until_at BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    dead BIGINT NOT NULL,
    expired BIGINT NOT NULL,
    latencies BLOB NOT NULL,
    PRIMARY KEY (subscription_id, until_at)
) WITHOUT ROWID;
CREATE INDEX rollups_until ON rollups (until_at);
