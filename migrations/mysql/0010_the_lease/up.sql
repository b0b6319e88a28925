-- Which engine may write: the latest that got the lease. One row.
CREATE TABLE leases (
    id SMALLINT NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
