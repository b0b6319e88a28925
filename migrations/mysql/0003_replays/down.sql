DROP TABLE replays;
ALTER TABLE deliveries DROP COLUMN replayed_at, DROP COLUMN uncounted_attempts;
