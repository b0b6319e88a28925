DROP TABLE request_heads;
ALTER TABLE attempts DROP COLUMN remote_address;
ALTER TABLE attempts DROP COLUMN dns_us;
ALTER TABLE attempts DROP COLUMN connect_us;
ALTER TABLE attempts DROP COLUMN tls_us;
ALTER TABLE attempts DROP COLUMN first_byte_us;
ALTER TABLE attempts DROP COLUMN response_headers;
ALTER TABLE attempts DROP COLUMN response_headers_cut;
ALTER TABLE attempts DROP COLUMN request_head;
