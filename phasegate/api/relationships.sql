-- Foreign keys between tables of schema public. Those of partitions repeat their parent's.

select
    k.conname as name,
    source.relname as source,
    target.relname as target,
    (
        select array_agg(a.attname::text order by u.place)
        from unnest(k.conkey) with ordinality as u (number, place)
        join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = u.number
    ) as source_columns,
    (
        select array_agg(a.attname::text order by u.place)
        from unnest(k.confkey) with ordinality as u (number, place)
        join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = u.number
    ) as target_columns
from pg_constraint as k
join pg_class as source on source.oid = k.conrelid
join pg_class as target on target.oid = k.confrelid
where k.contype = 'f'
    and k.conparentid = 0
    and source.relnamespace = 'public'::regnamespace
    and target.relnamespace = 'public'::regnamespace
    and not source.relispartition
order by k.conname
