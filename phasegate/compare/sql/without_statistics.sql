-- Those of the tables $1 (oids) that hold rows of which the planner has no statistics.
select c.relname
from unnest($1::oid[]) as wanted (oid)
join pg_catalog.pg_class as c on c.oid = wanted.oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not exists (select from pg_stats where schemaname = n.nspname and tablename = c.relname)
    and exists (
        select from pg_partition_tree(c.oid) as part where pg_relation_size(part.relid) > 0
        union all
        select where pg_relation_size(c.oid) > 0
    )
order by c.relname
