-- When the payload, which is empty from then on, was erased.
ALTER TABLE events ADD COLUMN payload_erased_at BIGINT NULL;

-- A subscription's deliveries up to this id are to be erased; the row goes when they are gone.
CREATE TABLE erasures (
    subscription_id INTEGER NOT NULL PRIMARY KEY,
    up_to BIGINT NOT NULL,
    ordered_by TEXT NOT NULL,
    ordered_at BIGINT NOT NULL
);
