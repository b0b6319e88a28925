DROP TABLE replays;
ALTER TABLE deliveries DROP COLUMN replayed_at;
ALTER TABLE deliveries DROP COLUMN uncounted_attempts;
