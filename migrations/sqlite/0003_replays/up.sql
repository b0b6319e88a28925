-- Attempts that the retry policy does not count: all before the latest replay, and those that a person ordered.
ALTER TABLE deliveries ADD COLUMN uncounted_attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN replayed_at BIGINT NULL;

-- running_for is the subscription while the replay runs, and NULL from its end: a subscription has one at a time. states has
-- a bit for each number of a state. A subscription's deliveries up to done_up_to have been looked at.
CREATE TABLE replays (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    subscription_id INTEGER NOT NULL,
    running_for INTEGER NULL UNIQUE,
    stage SMALLINT NOT NULL,
    states SMALLINT NOT NULL,
    accepted_from BIGINT NULL,
    accepted_to BIGINT NOT NULL,
    event_type TEXT NULL,
    per_second INTEGER NULL,
    done_up_to BIGINT NOT NULL,
    replayed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    ordered_by TEXT NOT NULL,
    ordered_at BIGINT NOT NULL,
    ended_at BIGINT NULL
);
CREATE INDEX replays_subscription ON replays (subscription_id, id);
