-- Commands at work at this moment that are no application's, and how many sessions wait for a lock.
-- Looked at ten times a second during a soak; ours are left out.
select /* phasegate:sampler */
    pid,
    left(query, 300) as query,
    extract(epoch from clock_timestamp() - coalesce(query_start, xact_start))::float8 as age_s,
    backend_type = 'autovacuum worker' as is_autovacuum,
    wait_event_type = 'Lock' as waits_for_lock
from pg_stat_activity
where pid <> pg_backend_pid()
  and datname = current_database()
  and (
      backend_type = 'autovacuum worker'
      or state = 'active' and wait_event_type = 'Lock'
      or state = 'active' and query ~* '^\s*(/\*.*?\*/\s*)*(refresh|vacuum|analyze|reindex|cluster|create\s+(unique\s+)?index|alter|truncate|drop)\M'
  )
