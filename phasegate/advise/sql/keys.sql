-- Foreign keys and primary keys of the tables $1.
select
    k.conrelid::int8                                  as oid,
    k.conname                                         as name,
    k.contype = 'p'                                   as is_primary,
    case when k.contype = 'f' then k.confrelid::int8 end as target,
    array(
        select a.attname::text
        from unnest(k.conkey) with ordinality as u(attnum, place)
        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.attnum
        order by u.place
    )                                                 as columns,
    array(
        select a.attname::text
        from unnest(k.confkey) with ordinality as u(attnum, place)
        join pg_catalog.pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.attnum
        order by u.place
    )                                                 as target_columns
from pg_catalog.pg_constraint as k
where k.conrelid = any ($1::int8[]) and k.contype in ('p', 'f')
order by k.conrelid, k.conname
