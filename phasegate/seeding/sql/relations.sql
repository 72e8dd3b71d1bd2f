-- Size on disk of the tables $1 (quoted names), in that order, one row a table. Partitions are summed
-- up under their parent; the partitions of one index under the parent's.
with recursive roots as (
    select to_regclass(wanted.name)::oid as root, wanted.number
    from unnest($1::text[]) with ordinality as wanted (name, number)
),
members as (
    select root, root as member from roots
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
    (select sum(pg_table_size(m.member)) from members as m where m.root = r.root)::bigint as bytes,
    coalesce(
        (select json_object_agg(i.index, i.bytes) from indexes as i where i.root = r.root), '{}'
    )::text as index_bytes
from roots as r
order by r.number;
