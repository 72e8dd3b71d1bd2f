-- Running totals of this database's statements; the sampler takes the difference of two looks.
-- Statements of the sampler itself carry a mark, and are left out.
select /* phasegate:sampler */
    queryid::text                                   as query_id,
    left(min(query), 1000)                          as sql,
    sum(calls)::bigint                              as calls,
    sum(total_exec_time)::float8                    as total_ms,
    sum(rows)::bigint                               as rows,
    sum(shared_blks_hit)::bigint                    as blocks_hit,
    sum(shared_blks_read)::bigint                   as blocks_read,
    sum(temp_blks_written)::bigint                  as temp_blocks_written
from pg_stat_statements
where dbid = (select oid from pg_database where datname = current_database())
  and queryid is not null
  and position('phasegate:sampler' in query) = 0
group by queryid
