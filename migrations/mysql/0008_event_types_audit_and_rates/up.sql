-- What is known of event types: those of an installation's own, and what was added to the built-in ones.
CREATE TABLE event_types (
    name VARCHAR(124) NOT NULL PRIMARY KEY,
    description TEXT NULL,
    json_schema MEDIUMTEXT NULL,
    example MEDIUMTEXT NULL,
    validates BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    modified_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Every change that a person made: who, when, what, and whose it is. was and became are JSON objects without secrets.
CREATE TABLE audit (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    changed_at BIGINT NOT NULL,
    actor_id INT NULL,
    actor VARCHAR(150) NOT NULL,
    action VARCHAR(64) NOT NULL,
    subject VARCHAR(200) NOT NULL,
    owner_id INT NULL,
    was MEDIUMTEXT NULL,
    became MEDIUMTEXT NULL,
    KEY audit_owner (owner_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What became of a subscription's attempts, added up from the row before to until_at. latencies: a count of four bytes for
-- each bucket, the lowest first.
CREATE TABLE rollups (
    subscription_id INT NOT NULL,
    until_at BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    dead BIGINT NOT NULL,
    expired BIGINT NOT NULL,
    latencies VARBINARY(64) NOT NULL,
    PRIMARY KEY (subscription_id, until_at),
    KEY rollups_until (until_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
