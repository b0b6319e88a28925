-- Which subscriptions have a maximum age, without reading those that have none.
CREATE INDEX subscriptions_max_age ON subscriptions (max_age_seconds);
