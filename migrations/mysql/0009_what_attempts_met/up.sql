-- What an attempt met on its way; NULL where it is not known, or a stage did not happen. response_headers: a JSON array of
-- names and values. request_head: the digest of a row of request_heads.
ALTER TABLE attempts
    ADD COLUMN remote_address VARCHAR(64) NULL,
    ADD COLUMN dns_us BIGINT NULL,
    ADD COLUMN connect_us BIGINT NULL,
    ADD COLUMN tls_us BIGINT NULL,
    ADD COLUMN first_byte_us BIGINT NULL,
    ADD COLUMN response_headers TEXT NULL,
    ADD COLUMN response_headers_cut BOOLEAN NULL,
    ADD COLUMN request_head BIGINT NULL;

-- What a subscription's requests have in common, without secrets. headers: a JSON array of names and values, with NULL for
-- a value that each request has of its own.
CREATE TABLE request_heads (
    subscription_id INT NOT NULL,
    digest BIGINT NOT NULL,
    url TEXT NOT NULL,
    headers TEXT NOT NULL,
    PRIMARY KEY (subscription_id, digest)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
