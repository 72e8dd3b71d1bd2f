-- Keep other seeders away from this database until the transaction ends; false where one is at work.
-- The number is any fixed one; advisory locks are per database.
select pg_try_advisory_xact_lock(7301202507);
