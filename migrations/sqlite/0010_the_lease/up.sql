-- Which engine may write, where a server could lose sight of it. The lock on a file cannot be lost: here it stays empty.
CREATE TABLE leases (
    id SMALLINT NOT NULL PRIMARY KEY,
    token BIGINT NOT NULL
);
