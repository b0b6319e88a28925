-- Attempts that the retry policy does not count: all before the latest replay, and those that a person ordered.
ALTER TABLE deliveries
    ADD COLUMN uncounted_attempts INT NOT NULL DEFAULT 0,
    ADD COLUMN replayed_at BIGINT NULL;

-- running_for is the subscription while the replay runs, and NULL from its end: a subscription has one at a time. states has
-- a bit for each number of a state. A subscription's deliveries up to done_up_to have been looked at.
CREATE TABLE replays (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    subscription_id INT NOT NULL,
    running_for INT NULL,
    stage SMALLINT NOT NULL,
    states SMALLINT NOT NULL,
    accepted_from BIGINT NULL,
    accepted_to BIGINT NOT NULL,
    event_type VARCHAR(124) NULL,
    per_second INT NULL,
    done_up_to BIGINT NOT NULL,
    replayed BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    ordered_by VARCHAR(150) NOT NULL,
    ordered_at BIGINT NOT NULL,
    ended_at BIGINT NULL,
    UNIQUE KEY replays_running (running_for),
    KEY replays_subscription (subscription_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
