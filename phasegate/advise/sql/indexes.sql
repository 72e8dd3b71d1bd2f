-- Indexes of the tables $1: keys in order (null: an expression), and how often each was used.
select
    i.indrelid::int8                                  as oid,
    n.nspname                                         as schema,
    c.relname                                         as name,
    am.amname                                         as method,
    i.indisunique                                     as is_unique,
    i.indisvalid                                      as is_valid,
    exists (select from pg_catalog.pg_constraint where conindid = i.indexrelid) as of_constraint,
    pg_get_expr(i.indpred, i.indrelid)                as predicate,
    pg_get_indexdef(i.indexrelid)                     as definition,
    pg_relation_size(i.indexrelid)::int8              as bytes,
    coalesce(s.idx_scan, 0)::int8                     as scans,
    array(
        select a.attname::text
        from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
        left join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.place <= i.indnkeyatts order by k.place
    )                                                 as keys,
    array(
        select (o & 1) = 1 from unnest(i.indoption::int2[]) with ordinality as k(o, place)
        order by k.place
    )                                                 as descending,
    i.indnatts > i.indnkeyatts                        as includes
from pg_catalog.pg_index as i
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_am as am on am.oid = c.relam
left join pg_catalog.pg_stat_user_indexes as s on s.indexrelid = i.indexrelid
where i.indrelid = any ($1::int8[])
order by i.indrelid, c.relname
