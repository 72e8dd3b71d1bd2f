-- Tables, views and their columns in schema public, one row each relation, as JSON.
-- Partitions are left out: PostgREST does not expose them either.

select
    c.relname as name,
    coalesce((
        select json_agg(json_build_array(
            a.attname,
            -- Quoted, for use in statements; without a length, so that a long text is refused by
            -- the table and not cut by the cast.
            format('%I.%I', tn.nspname, t.typname),
            pg_get_expr(d.adbin, d.adrelid),
            t.typname in ('json', 'jsonb')
        ) order by a.attnum)
        from pg_attribute as a
        join pg_type as t on t.oid = a.atttypid
        join pg_namespace as tn on tn.oid = t.typnamespace
        left join pg_attrdef as d
            on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ), '[]')::text as columns,
    coalesce((
        select json_agg(json_build_array(
            k.contype = 'p',
            (
                select json_agg(a.attname order by u.place)
                from unnest(k.conkey) with ordinality as u (number, place)
                join pg_attribute as a on a.attrelid = c.oid and a.attnum = u.number
            )
        ))
        from pg_constraint as k
        where k.conrelid = c.oid and k.contype in ('p', 'u')
    ), '[]')::text as keys
from pg_class as c
where c.relnamespace = 'public'::regnamespace
    and c.relkind in ('r', 'v', 'm', 'f', 'p')
    and not c.relispartition
order by c.relname
