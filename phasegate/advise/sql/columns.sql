-- Columns of the tables $1 with what the planner's statistics say of them.
select
    a.attrelid::int8                                  as oid,
    a.attname                                         as name,
    format_type(a.atttypid, a.atttypmod)              as type,
    t.typcategory = 'A'                               as is_array,
    not a.attnotnull                                  as nullable,
    a.attgenerated <> ''                              as generated,
    coalesce(s.null_frac, 0)::float8                  as null_share,
    coalesce(s.avg_width, 0)                          as width_bytes,
    coalesce(s.n_distinct, 0)::float8                 as n_distinct,
    s.correlation::float8                             as correlation
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join pg_catalog.pg_stats as s
    on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
    and not s.inherited
where a.attrelid = any ($1::int8[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
