ALTER TABLE subscriptions
    DROP COLUMN ordering,
    DROP COLUMN rate_per_second,
    DROP COLUMN rate_burst,
    DROP COLUMN max_age_seconds;
