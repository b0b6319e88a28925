DROP TABLE erasures;
ALTER TABLE events DROP COLUMN payload_erased_at;
