DROP INDEX subscriptions_max_age ON subscriptions;
