ALTER TABLE subscriptions ADD COLUMN retiring_secrets TEXT NULL;
ALTER TABLE subscriptions ADD COLUMN held_mode SMALLINT NULL;
ALTER TABLE subscriptions ADD COLUMN resume_per_second INTEGER NULL;
ALTER TABLE subscriptions ADD COLUMN resume_up_to BIGINT NULL;

-- What begins like a sealed value is plain text so far.
UPDATE subscriptions SET secret_key = 'sealed:plain:' || secret_key WHERE SUBSTR(secret_key, 1, 7) = 'sealed:';
