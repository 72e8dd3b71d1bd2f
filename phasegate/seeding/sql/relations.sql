-- Size on disk of our tables, one row per table and index. Partitions are summed up under their
-- parent; the partitions of one index under the parent's.
with recursive members as (
    select c.oid as root, c.oid as member
    from pg_catalog.pg_class as c
    where c.relnamespace = 'public'::regnamespace
        and c.relname in
            ('profiles', 'projects', 'tasks', 'activity_logs', 'activity_logs_partitioned')
    union all
    select m.root, i.inhrelid
    from members as m
    join pg_catalog.pg_inherits as i on i.inhparent = m.member
),
indexes as (
    select
        m.root,
        coalesce(parent.relname, x.relname) as index,
        sum(pg_relation_size(x.oid))        as bytes
    from members as m
    join pg_catalog.pg_index as i on i.indrelid = m.member
    join pg_catalog.pg_class as x on x.oid = i.indexrelid
    left join pg_catalog.pg_inherits as h on h.inhrelid = x.oid
    left join pg_catalog.pg_class as parent on parent.oid = h.inhparent
    group by m.root, coalesce(parent.relname, x.relname)
)
select
    root.relname                                                    as name,
    (select sum(pg_table_size(m.member)) from members as m where m.root = root.oid)::bigint as bytes,
    coalesce(
        (select json_object_agg(i.index, i.bytes) from indexes as i where i.root = root.oid), '{}'
    )::text                                                         as index_bytes
from pg_catalog.pg_class as root
where root.oid in (select root from members)
order by root.relname;
