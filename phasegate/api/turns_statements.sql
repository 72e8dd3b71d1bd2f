-- Statements that reached this database so far, and the shared blocks that they touched; this one
-- and its like carry a mark, and are left out.
select /* phasegate:turns */
    coalesce(sum(calls), 0)::bigint                                 as calls,
    coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint    as blocks
from pg_stat_statements
where dbid = (select oid from pg_database where datname = current_database())
  and position('phasegate:turns' in query) = 0
