-- When the payload, which is empty from then on, was erased.
ALTER TABLE events ADD COLUMN payload_erased_at BIGINT NULL;

-- A subscription's deliveries up to this id are to be erased; the row goes when they are gone.
CREATE TABLE erasures (
    subscription_id INT NOT NULL PRIMARY KEY,
    up_to BIGINT NOT NULL,
    ordered_by VARCHAR(150) NOT NULL,
    ordered_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
