-- The server's processes that work for this database, but for the one that asks.
select pid
from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
