-- How deliveries flow: 0 none, 1 key, 2 subscription; NULL for no limit.
ALTER TABLE subscriptions ADD COLUMN ordering SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN rate_per_second INTEGER NULL;
ALTER TABLE subscriptions ADD COLUMN rate_burst INTEGER NULL;
ALTER TABLE subscriptions ADD COLUMN max_age_seconds BIGINT NULL;
