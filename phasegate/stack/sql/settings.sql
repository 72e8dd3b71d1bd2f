-- First in every transaction of ours that reads or changes a data set. They end with it, as a pooler
-- wants it.
set local search_path = public;
-- Whoever holds a lock on our tables gets this long to let go; then we give up and say so.
set local lock_timeout = '30s';
-- A hosted server's own limits, and a role's, are for its application's statements; ours take as long
-- as they take. transaction_timeout came with PostgreSQL 17. And rather fail than count only the rows
-- that row-level security shows.
select set_config(name, case name when 'row_security' then 'off' else '0' end, true)
from pg_catalog.pg_settings
where name in (
    'statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'row_security'
);
