-- Sealed values stay sealed, and the version before this cannot open them: go back only where no key was ever given.
UPDATE subscriptions SET secret_key = SUBSTR(secret_key, 14) WHERE SUBSTR(secret_key, 1, 13) = 'sealed:plain:';

ALTER TABLE subscriptions
    MODIFY secret_key VARCHAR(124) NULL,
    DROP COLUMN retiring_secrets,
    DROP COLUMN held_mode,
    DROP COLUMN resume_per_second,
    DROP COLUMN resume_up_to;
