-- How many rows the tables of the schemas $1 have, and what the planner knows of their columns, in
-- figures alone. Of pg_stats only these four columns are asked for: most-common values and histogram
-- bounds are rows of the app's users, and stay where they are.
-- A partitioned table that was never analysed counts as the sum of its partitions.
with recursive leaves as (
    select c.oid as root, c.oid as leaf
    from pg_catalog.pg_class as c
    where c.relkind in ('r', 'p', 'f')
        and c.relnamespace in (select oid from pg_catalog.pg_namespace where nspname = any($1::text[]))
    union all
    select l.root, i.inhrelid
    from leaves as l
    join pg_catalog.pg_inherits as i on i.inhparent = l.leaf
    join pg_catalog.pg_class as c on c.oid = i.inhrelid and c.relispartition
),
counted as (
    select
        l.root,
        sum(coalesce(nullif(c.reltuples, -1), s.n_live_tup::real)) as rows,
        sum(s.n_live_tup) as live
    from leaves as l
    join pg_catalog.pg_class as c on c.oid = l.leaf and c.relkind <> 'p'
    left join pg_catalog.pg_stat_all_tables as s on s.relid = c.oid
    group by l.root
)
select
    n.nspname                                                  as schema,
    c.relname                                                  as table,
    greatest(nullif(t.rows, 0), t.live, t.rows)::float8        as rows,
    st.attname                                                 as column,
    st.null_frac::float8                                       as null_frac,
    st.n_distinct::float8                                      as n_distinct,
    st.avg_width                                               as avg_width,
    st.correlation::float8                                     as correlation
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join counted as t on t.root = c.oid
left join lateral (
    select distinct on (s.attname) s.attname, s.null_frac, s.n_distinct, s.avg_width, s.correlation
    from pg_catalog.pg_stats as s
    where s.schemaname = n.nspname and s.tablename = c.relname
    order by s.attname, s.inherited desc
) as st on true
where n.nspname = any($1::text[]) and c.relkind in ('r', 'p', 'f')
order by n.nspname, c.relname, st.attname;
