-- A sealed secret is longer: 124 characters of four bytes, nonce and tag in base64, behind the name of the key.
ALTER TABLE subscriptions
    MODIFY secret_key VARCHAR(1000) NULL,
    ADD retiring_secrets TEXT NULL AFTER secret_key,
    ADD held_mode SMALLINT NULL AFTER held_by,
    ADD resume_per_second INT NULL AFTER held_mode,
    ADD resume_up_to BIGINT NULL AFTER resume_per_second;

-- What begins like a sealed value is plain text so far. The mark keeps a run that was cut off from doing it twice.
UPDATE subscriptions SET secret_key = CONCAT('sealed:plain:', secret_key), held_mode = -1
    WHERE SUBSTR(secret_key, 1, 7) = 'sealed:' AND held_mode IS NULL;
UPDATE subscriptions SET held_mode = NULL WHERE held_mode = -1;
