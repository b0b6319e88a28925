-- Since when the endpoint has failed without a success between; NULL while it works, or for the first moments.
ALTER TABLE subscriptions ADD COLUMN failing_since BIGINT NULL;

-- What a person decided about a single delivery: 0 skip, 1 set aside.
CREATE TABLE interventions (
    delivery_id BIGINT NOT NULL PRIMARY KEY,
    decision SMALLINT NOT NULL,
    decided_by TEXT NOT NULL,
    reason TEXT NULL,
    decided_at BIGINT NOT NULL
) WITHOUT ROWID;
