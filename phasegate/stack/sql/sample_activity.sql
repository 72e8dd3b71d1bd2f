-- Client connections to this database by state and wait, ours left out.
select /* phasegate:sampler */
    coalesce(state, 'unknown') as state,
    case when state = 'active' then coalesce(wait_event_type || '/' || wait_event, 'running') end as wait,
    count(*)::int as connections
from pg_stat_activity
where backend_type = 'client backend' and datname = current_database() and pid <> pg_backend_pid()
group by 1, 2
