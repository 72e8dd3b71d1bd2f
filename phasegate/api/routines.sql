-- Functions of schema public that can be called by name: those whose arguments all have names.

with arguments as (
    select
        p.oid,
        json_agg(json_build_array(
            coalesce(u.name, ''),
            format('%I.%I', tn.nspname, t.typname),
            u.place <= p.pronargs - p.pronargdefaults,
            format_type(t.oid, null)
        ) order by u.place) as inputs
    from pg_proc as p
    cross join lateral unnest(p.proargtypes::oid[]) with ordinality as types (type, place)
    cross join lateral (
        -- Without OUT arguments proargmodes is null, and the names are in the types' order.
        select types.place, types.type,
            case
                when p.proargmodes is null then p.proargnames[types.place]
                else (
                    select n.name
                    from (
                        select name, row_number() over (order by i) as nth
                        from unnest(p.proargnames, p.proargmodes) with ordinality as m (name, mode, i)
                        where mode in ('i', 'b', 'v')
                    ) as n
                    where n.nth = types.place
                )
            end as name
    ) as u
    join pg_type as t on t.oid = u.type
    join pg_namespace as tn on tn.oid = t.typnamespace
    group by p.oid
)

select
    p.proname as name,
    coalesce(a.inputs, '[]')::text as arguments,
    p.provolatile in ('s', 'i') as reads_only,
    p.proretset as returns_set,
    r.typname = 'void' as returns_void,
    r.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false) as returns_row,
    rc.relname as returns_relation,
    -- Columns of the answer: those of TABLE(…) and OUT arguments, or those of the row type.
    coalesce(
        (
            select json_agg(json_build_array(
                m.name, format('%I.%I', tn.nspname, t.typname), null, t.typname in ('json', 'jsonb')
            ) order by m.i)
            from unnest(p.proargnames, p.proallargtypes, p.proargmodes)
                with ordinality as m (name, type, mode, i)
            join pg_type as t on t.oid = m.type
            join pg_namespace as tn on tn.oid = t.typnamespace
            where m.mode in ('t', 'b', 'o')
        ),
        (
            select json_agg(json_build_array(
                f.attname, format('%I.%I', tn.nspname, t.typname), null,
                t.typname in ('json', 'jsonb')
            ) order by f.attnum)
            from pg_attribute as f
            join pg_type as t on t.oid = f.atttypid
            join pg_namespace as tn on tn.oid = t.typnamespace
            where f.attrelid = r.typrelid and f.attnum > 0 and not f.attisdropped
        ),
        '[]'
    )::text as columns
from pg_proc as p
join pg_type as r on r.oid = p.prorettype
left join pg_class as rc on rc.oid = r.typrelid and rc.relnamespace = 'public'::regnamespace
    and rc.relkind in ('r', 'v', 'm', 'f', 'p')
left join arguments as a on a.oid = p.oid
where p.pronamespace = 'public'::regnamespace
    and p.prokind = 'f'
    and p.provariadic = 0
    and r.typname not in ('trigger', 'event_trigger')
order by p.proname
