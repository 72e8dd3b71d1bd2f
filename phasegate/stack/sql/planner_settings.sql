-- Settings that decide how statements are planned, where they differ from PostgreSQL's defaults: of
-- this session, and what was set for the roles $1, whose sessions are others. Reads catalogues alone.
with planner as (
    select
        name,
        setting,
        boot_val,
        vartype,
        source,
        case unit when 'kB' then 1024 when '8kB' then 8192 end as unit_bytes
    from pg_catalog.pg_settings
    where category like 'Query Tuning%'
        or name in (
            'debug_parallel_query',
            'force_parallel_mode',
            'hash_mem_multiplier',
            'max_parallel_workers',
            'max_parallel_workers_per_gather',
            'work_mem'
        )
),
of_roles as (
    select
        p.*,
        substr(assignment, strpos(assignment, '=') + 1) as value,
        'role ' || r.rolname || case when s.setdatabase = 0 then '' else ' in this database' end
            as set_for
    from pg_catalog.pg_db_role_setting as s
    join pg_catalog.pg_roles as r on r.oid = s.setrole
    cross join lateral unnest(s.setconfig) as assignment
    join planner as p on p.name = split_part(assignment, '=', 1)
    where r.rolname = any($1::text[])
        and (s.setdatabase = 0 or s.setdatabase = (
            select oid from pg_catalog.pg_database where datname = current_database()
        ))
),
differing as (
    select name, current_setting(name) as value, boot_val, unit_bytes, source
    from planner
    where setting is distinct from boot_val
    union all
    select name, value, boot_val, unit_bytes, set_for
    from of_roles
    where case
        when vartype = 'bool' then value::bool is distinct from boot_val::bool
        when vartype = 'enum' then lower(value) is distinct from boot_val
        when value ~ '^[0-9.]+$' then value::numeric is distinct from boot_val::numeric
        when unit_bytes is not null
            then pg_size_bytes(value) is distinct from boot_val::numeric * unit_bytes
        else true
    end
)
select
    name,
    value,
    case
        when unit_bytes is null then boot_val
        else replace(pg_size_pretty(boot_val::bigint * unit_bytes), ' ', '')
    end as default_value,
    source
from differing
order by name, source
