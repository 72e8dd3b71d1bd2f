-- Who holds what others wait for: one row a holder, those who wait themselves left out. Asked only
-- where `events_running` saw somebody wait.
select /* phasegate:sampler */
    holder.pid,
    left(holder.query, 300) as query,
    holder.state,
    min(waiting.relation::regclass::text) as relation,
    count(distinct waiting.pid)::int as waiters,
    extract(epoch from clock_timestamp() - min(waiting.waitstart))::float8 as age_s
from pg_locks as waiting
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocking (pid)
join pg_stat_activity as holder on holder.pid = blocking.pid
where not waiting.granted
  and waiting.database in ((select oid from pg_database where datname = current_database()), 0)
  and holder.wait_event_type is distinct from 'Lock'
group by holder.pid, holder.query, holder.state
