-- Fill the view of user statistics again (stack level 3), without locking its readers out; says what
-- was done. For psql. The function is in phasegate/stack/sql/refresh.sql.
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
begin;
-- Local to this transaction: behind a transaction pooler, a session's settings are the next one's.
-- Who waits for longer than this waits for a migration, and the next hour comes anyway.
set local lock_timeout = '10s';
set local statement_timeout = '10min';
select
    case
        when phasegate_stack.refresh_view('private.user_stats') then 'The view of user statistics was refreshed.'
        else 'Another refresh of user statistics was under way; this one left it alone.'
    end;
commit;
select format('As of %s UTC, in %s s.', to_char(refreshed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), round(duration_s::numeric, 2))
from phasegate_stack.refreshes where view = 'private.user_stats';
