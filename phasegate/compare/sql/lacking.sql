-- What keeps the role of this session from measuring here: a sentence each, and what mends it, the
-- first thing to do first. $1: the tables, by oid. Reads catalogues alone.
with me as (
    select
        quote_ident(current_user) as name,
        quote_ident(current_database()) as database,
        (select rolsuper from pg_catalog.pg_roles where rolname = current_user) as is_superuser,
        to_regrole('authenticated') as users
),
tables as (
    select c.oid, c.relname, c.relnamespace, c.relowner
    from pg_catalog.pg_class as c
    where c.oid = any($1::oid[])
),
found (place, what, mend) as (
    select
        1,
        'default_transaction_read_only is on for role ' || me.name || ', and the benchmarks write',
        'If they may, run: alter role ' || me.name || ' set default_transaction_read_only = off;'
    from me
    where current_setting('default_transaction_read_only')::boolean
    union all
    select
        2,
        'Role ' || me.name || ' does not own ' || string_agg(t.relname, ', ' order by t.relname)
            || ', whose indexes come and go between the arms',
        'Connect as their owner, or run: grant '
            || quote_ident(pg_get_userbyid(min(t.relowner))) || ' to ' || me.name || ';'
    from me, tables as t
    where not pg_has_role(t.relowner, 'usage')
    group by me.name
    union all
    select
        2,
        'Role ' || me.name || ' may not read what the seeder noted of its data',
        'Connect as the owner of the tables, or run: grant usage on schema phasegate to ' || me.name
            || '; grant select on phasegate.dataset to ' || me.name || ';'
    from me
    join pg_catalog.pg_namespace as n on n.nspname = 'phasegate'
    join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = 'dataset'
    where not (has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'))
    union all
    select
        3,
        'The database lacks the role `authenticated`, as which users'' statements run, and role '
            || me.name || ' may not make it',
        'Let a superuser measure, or run what `phasegate sql --level 1` prints'
    from me
    where me.users is null and not me.is_superuser
    union all
    select
        4,
        'Role ' || me.name || ' is no member of `authenticated`, as which users'' statements run',
        'Run: grant authenticated to ' || me.name || ';'
    from me
    where me.users is not null
        and not pg_has_role(
            me.users,
            -- Since PostgreSQL 16 a member may be denied SET ROLE.
            case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
        )
    union all
    select
        5,
        'Role ' || me.name || ' may not create schemas in ' || me.database,
        'Run: grant create on database ' || me.database || ' to ' || me.name || ';'
    from me
    where not has_database_privilege(current_database(), 'create')
    union all
    select
        6,
        'The search_path of role ' || me.name || ' does not lead to the tables of `public`',
        'Run: alter role ' || me.name || ' set search_path = public;'
    from me
    where exists (
        select from tables as t
        where t.relnamespace = to_regnamespace('public')
            and to_regclass(quote_ident(t.relname)) is distinct from t.oid
    )
)
select what, mend from found order by place
