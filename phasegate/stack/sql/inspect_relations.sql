-- Size on disk of every table outside the system's schemas, one row a table; partitions and their
-- indexes are summed up under the topmost parent. Rows are the planner's estimate: counting would
-- read everything. Reads catalogues alone.
with members as (
    select
        coalesce(pg_partition_root(c.oid)::oid, c.oid) as root,
        c.oid                                          as member,
        greatest(c.reltuples, 0)                       as rows
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p', 'm')
        and c.relpersistence <> 't'
        and c.relnamespace not in (
            select oid from pg_catalog.pg_namespace
            where nspname in ('pg_catalog', 'information_schema') or nspname like 'pg\_toast%'
        )
),
indexes as (
    select
        m.root,
        coalesce(pg_partition_root(x.indexrelid)::oid, x.indexrelid)::regclass::text as index,
        sum(pg_relation_size(x.indexrelid))                                          as bytes
    from members as m
    join pg_catalog.pg_index as x on x.indrelid = m.member
    group by 1, 2
)
select
    m.root::regclass::text                 as name,
    -- A parent of partitions has their sum as its own estimate.
    sum(m.rows) filter (where m.member <> m.root or not exists (
        select from pg_catalog.pg_inherits as i where i.inhparent = m.root
    ))::bigint                             as rows,
    sum(pg_table_size(m.member))::bigint   as bytes,
    coalesce(
        (select json_object_agg(i.index, i.bytes) from indexes as i where i.root = m.root), '{}'
    )::text                                as index_bytes
from members as m
group by m.root
order by bytes desc, name
