-- The tables of the schemas $1, and those that their foreign keys lead to, as one json each; no
-- partitions, which belong to their table, and none that an extension brings along.
with recursive wanted (oid) as (
    select c.oid
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = any ($1::text[])
        and c.relkind in ('r', 'p', 'f')
        and not c.relispartition
        and not exists (
            select from pg_depend
            where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e'
        )
    union
    select k.confrelid
    from wanted as w
    join pg_constraint as k on k.conrelid = w.oid and k.contype = 'f'
),
indexes as (
    select
        i.indrelid,
        c.relname                                                               as name,
        i.indisprimary,
        -- Before PostgreSQL 15 two nulls are always different.
        coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)       as nulls_equal,
        coalesce(pg_get_expr(i.indpred, i.indrelid), '')                        as predicate,
        (
            select coalesce(json_agg(pg_get_indexdef(i.indexrelid, place, true) order by place), '[]')
            from generate_series(1, i.indnkeyatts) as place
            where i.indkey[place - 1] = 0
        )                                                                       as expressions,
        (
            -- Of plain parts the attribute; what expressions read is a dependency of the index.
            select coalesce(
                json_agg(a.attname order by array_position(i.indkey::int2[], a.attnum), a.attnum), '[]'
            )
            from pg_attribute as a
            where a.attrelid = i.indrelid and a.attnum > 0
                and (
                    a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
                    or i.indexprs is not null and exists (
                        select from pg_depend as d
                        where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
                            and d.refclassid = 'pg_class'::regclass
                            and d.refobjid = i.indrelid and d.refobjsubid = a.attnum
                            and position(a.attname in pg_get_expr(i.indexprs, i.indrelid)) > 0
                    )
                )
        )                                                                       as columns
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    where i.indisunique and i.indislive
        and not exists (
            select from pg_constraint where conindid = i.indexrelid and contype = 'x'
        )
)
select json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'kind', c.relkind,
    'row_security', c.relrowsecurity,
    'columns', (
        select coalesce(json_agg(json_build_object(
            'name', a.attname,
            'type', a.atttypid::bigint,
            'modifier', a.atttypmod,
            'not_null', a.attnotnull,
            'identity', a.attidentity,
            'generated', a.attgenerated <> '',
            'default', case when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end
        ) order by a.attnum), '[]')
        from pg_attribute as a
        left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ),
    'uniques', (
        select coalesce(json_agg(json_build_object(
            'name', i.name,
            'columns', i.columns,
            'expressions', i.expressions,
            'where', i.predicate,
            'is_primary', i.indisprimary,
            'nulls_equal', i.nulls_equal
        ) order by not i.indisprimary, i.name), '[]')
        from indexes as i
        where i.indrelid = c.oid
    ),
    'constraints', (
        select coalesce(json_agg(json_build_object(
            'name', k.conname,
            'kind', k.contype,
            'columns', (
                select coalesce(json_agg(a.attname order by key.place), '[]')
                from unnest(k.conkey) with ordinality as key (number, place)
                join pg_attribute as a on a.attrelid = c.oid and a.attnum = key.number
            ),
            'expression', case when k.contype = 'c' then pg_get_expr(k.conbin, c.oid) end,
            'definition', pg_get_constraintdef(k.oid),
            'schema', tn.nspname,
            'table', t.relname,
            'targets', (
                select coalesce(json_agg(a.attname order by key.place), '[]')
                from unnest(k.confkey) with ordinality as key (number, place)
                join pg_attribute as a on a.attrelid = k.confrelid and a.attnum = key.number
            ),
            'deferrable', k.condeferrable,
            'on_delete', k.confdeltype,
            'elements', case when k.contype = 'x' then (
                select json_agg(json_build_array(
                    pg_get_indexdef(k.conindid, op.place::int, true), o.oprname
                ) order by op.place)
                from unnest(k.conexclop) with ordinality as op (oid, place)
                join pg_operator as o on o.oid = op.oid
            ) end,
            'where', (
                select pg_get_expr(indpred, indrelid) from pg_index
                where k.contype = 'x' and indexrelid = k.conindid
            )
        ) order by k.conname), '[]')
        from pg_constraint as k
        left join pg_class as t on t.oid = k.confrelid
        left join pg_namespace as tn on tn.oid = t.relnamespace
        where k.conrelid = c.oid and k.contype in ('f', 'c', 'x')
            -- A foreign key to a partitioned table has one more for each of its partitions.
            and not (k.contype = 'f' and k.conparentid <> 0)
    ),
    'policies', (
        select coalesce(json_agg(json_build_object(
            'name', p.polname,
            'command', p.polcmd,
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid)
        ) order by p.polname), '[]')
        from pg_policy as p
        where p.polrelid = c.oid
    ),
    'triggers', (
        select coalesce(json_agg(tgname order by tgname), '[]')
        from pg_trigger
        where tgrelid = c.oid and not tgisinternal
    ),
    'partition_by', case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
    'partition_columns', (
        select coalesce(json_agg(a.attname order by key.place), '[]')
        from pg_partitioned_table as p
        cross join unnest(p.partattrs::int2[]) with ordinality as key (number, place)
        join pg_attribute as a on a.attrelid = c.oid and a.attnum = key.number
        where p.partrelid = c.oid
    ),
    'partitions', (
        select coalesce(json_agg(pg_get_expr(part.relpartbound, part.oid) order by part.relname), '[]')
        from pg_inherits as i
        join pg_class as part on part.oid = i.inhrelid
        where i.inhparent = c.oid and part.relispartition
    ),
    'inherits', (
        select coalesce(json_agg(json_build_array(pn.nspname, parent.relname) order by i.inhseqno), '[]')
        from pg_inherits as i
        join pg_class as parent on parent.oid = i.inhparent
        join pg_namespace as pn on pn.oid = parent.relnamespace
        where i.inhrelid = c.oid
    )
) as shape
from (select distinct oid from wanted) as w
join pg_class as c on c.oid = w.oid
join pg_namespace as n on n.oid = c.relnamespace
where not c.relispartition
order by n.nspname, c.relname;
