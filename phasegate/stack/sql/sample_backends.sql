-- Connections of the application: those to this database by state, ours left out.
select /* phasegate:sampler */
    coalesce(state, 'unknown') as state,
    count(*)::int as connections
from pg_stat_activity
where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()
group by 1
