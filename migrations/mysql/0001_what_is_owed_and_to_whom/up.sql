-- Times are microseconds since 1970-01-01T00:00:00Z. Ids of events and deliveries are minted by the engine.

CREATE TABLE owners (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(150) NOT NULL,
    role SMALLINT NOT NULL,
    is_active BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE KEY owners_name (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE tokens (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    owner_id INT NOT NULL,
    digest VARBINARY(32) NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE KEY tokens_digest (digest),
    KEY tokens_owner (owner_id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE subscriptions (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    owner_id INT NOT NULL,
    version BIGINT NOT NULL,
    event_type VARCHAR(124) NOT NULL,
    target_url VARCHAR(255) NOT NULL,
    is_active BOOLEAN NOT NULL,
    secret_key VARCHAR(124) NULL,
    retry_countdown_config TEXT NOT NULL,
    callback VARCHAR(64) NULL,
    additional_headers MEDIUMTEXT NOT NULL,
    config MEDIUMTEXT NOT NULL,
    max_in_flight INT NOT NULL,
    held_since BIGINT NULL,
    held_until BIGINT NULL,
    held_reason VARCHAR(500) NULL,
    held_by VARCHAR(150) NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL,
    UNIQUE KEY subscriptions_registration (owner_id, target_url, event_type)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE events (
    id BIGINT NOT NULL PRIMARY KEY,
    publisher_id INT NOT NULL,
    event_type VARCHAR(124) NOT NULL,
    ordering_key VARCHAR(255) NULL,
    accepted_at BIGINT NOT NULL,
    deliveries INT NOT NULL,
    payload MEDIUMBLOB NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- due_at is 0 while nothing holds a delivery back: never attempted, or settled.
CREATE TABLE deliveries (
    id BIGINT NOT NULL PRIMARY KEY,
    event_id BIGINT NOT NULL,
    subscription_id INT NOT NULL,
    state SMALLINT NOT NULL,
    attempts INT NOT NULL,
    due_at BIGINT NOT NULL,
    first_recorded_at BIGINT NULL,
    recorded_at BIGINT NULL,
    KEY deliveries_queue (subscription_id, state, due_at, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE attempts (
    delivery_id BIGINT NOT NULL,
    number INT NOT NULL,
    started_at BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    status SMALLINT NULL,
    failure SMALLINT NULL,
    message VARCHAR(1000) NULL,
    content_type VARCHAR(255) NULL,
    body BLOB NULL,
    PRIMARY KEY (delivery_id, number)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- `key` is a reserved word in MySQL. Bytes, not characters: for every collation that MySQL and MariaDB share, keys that differ
-- in trailing blanks only are the same. 1,020 bytes hold 255 characters.
CREATE TABLE idempotency_keys (
    publisher_id INT NOT NULL,
    publisher_key VARBINARY(1020) NOT NULL,
    digest VARBINARY(32) NOT NULL,
    event_id BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (publisher_id, publisher_key),
    KEY idempotency_keys_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
