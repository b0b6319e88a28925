ALTER TABLE subscriptions DROP COLUMN ordering;
ALTER TABLE subscriptions DROP COLUMN rate_per_second;
ALTER TABLE subscriptions DROP COLUMN rate_burst;
ALTER TABLE subscriptions DROP COLUMN max_age_seconds;
