-- Monthly partitions looked after by SQL functions of our own: made ahead, filled up from the DEFAULT
-- partition, dropped by retention. Where the server has pg_partman, partitions_partman_<version>.sql
-- is applied on top and replaces phasegate_stack.maintain_partitions(); the face stays the same.
--
-- Names follow pg_partman 4: <table>_p2025_01, <table>_default. Months begin at midnight UTC.

create schema if not exists phasegate_stack;
revoke all on schema phasegate_stack from public, anon, authenticated, service_role;

-- Which tables are looked after, and how. `parent` is schema-qualified and needs no quoting.
create table if not exists phasegate_stack.partition_policy (
    parent        text        primary key,
    ahead_months  integer     not null check (ahead_months >= 1),
    keep_months   integer     not null check (keep_months >= 1),
    keeper        text        not null default 'own functions',  -- or 'pg_partman <version>'
    maintained_at timestamptz                                    -- null: not yet
);

-- The tables that are looked after, from now on: [{"parent", "ahead_months", "keep_months"}]. One
-- that is not there is left out, since whatever makes it has not been applied.
create or replace function phasegate_stack.declare_partitions(tables jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
    delete from phasegate_stack.partition_policy as p
    where not exists (
        select from jsonb_array_elements(tables) as d
        where d ->> 'parent' = p.parent and to_regclass(p.parent) is not null
    );
    insert into phasegate_stack.partition_policy (parent, ahead_months, keep_months)
    select d ->> 'parent', (d ->> 'ahead_months')::integer, (d ->> 'keep_months')::integer
    from jsonb_array_elements(tables) as d
    where to_regclass(d ->> 'parent') is not null
    on conflict (parent) do update
    set ahead_months = excluded.ahead_months, keep_months = excluded.keep_months;
end
$$;

-- The partitions of a table with their bounds; bounds of the DEFAULT partition are null.
create or replace function phasegate_stack.partitions_of(parent regclass)
returns table (partition regclass, month timestamptz, month_end timestamptz, is_default boolean)
language sql
stable
set search_path = ''
set timezone = 'UTC'
as $$
    select
        c.oid::regclass,
        (regexp_match(b.bound, $re$FROM \('([^']+)'\)$re$))[1]::timestamptz,
        (regexp_match(b.bound, $re$TO \('([^']+)'\)$re$))[1]::timestamptz,
        b.bound = 'DEFAULT'
    from pg_catalog.pg_inherits as i
    join pg_catalog.pg_class as c on c.oid = i.inhrelid
    cross join lateral (select pg_get_expr(c.relpartbound, c.oid)) as b (bound)
    where i.inhparent = partitions_of.parent
$$;

-- Make the partition of one month and move in what DEFAULT holds of it; returns the rows moved.
-- The table is filled before it is attached: ATTACH locks the parent only against other changes of
-- its shape, so readers and writers of other months go on.
create or replace function phasegate_stack.make_month(parent regclass, month timestamptz)
returns bigint
language plpgsql
set search_path = ''
set timezone = 'UTC'
set lock_timeout = '5s'  -- rather try again at the next maintenance than queue everybody up
as $$
declare
    month_end constant timestamptz := month + interval '1 month';
    spare regclass;      -- the DEFAULT partition, if there is one
    child text;
    key name;            -- the column that is partitioned by
    columns text;
    grantee text;
    moved bigint := 0;
begin
    select p.partition into spare from phasegate_stack.partitions_of(parent) as p where p.is_default;

    select
        -- An identifier has 63 bytes, the suffix nine of them.
        format('%I.%I', n.nspname, left(c.relname, 54) || to_char(month, '"_p"YYYY"_"MM'))
    into strict child
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = parent;

    select a.attname into strict key
    from pg_catalog.pg_partitioned_table as t
    join pg_catalog.pg_attribute as a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]
    where t.partrelid = parent;

    select string_agg(quote_ident(a.attname), ', ') into strict columns
    from pg_catalog.pg_attribute as a
    where a.attrelid = parent and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';

    execute format(
        'create table %s (like %s including all excluding indexes excluding identity)', child, parent
    );
    -- Asked for by its own name, a partition knows nothing of its parent's policies.
    execute format('alter table %s enable row level security', child);
    -- Nor does it share its grants: a Supabase project's default privileges give it some to anybody.
    for grantee in
        select distinct case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
        from pg_catalog.pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.oid = child::regclass and a.grantee <> c.relowner
    loop
        execute format('revoke all on %s from %s', child, grantee);
    end loop;
    if spare is not null then
        execute format('lock table %s in access exclusive mode', spare);
        execute format(
            'with gone as (delete from %1$s where %2$I >= $1 and %2$I < $2 returning %3$s) '
            'insert into %4$s (%3$s) select %3$s from gone',
            spare, key, columns, child
        ) using month, month_end;
        get diagnostics moved = row_count;
    end if;
    execute format(
        'alter table %s attach partition %s for values from (%L) to (%L)',
        parent, child, month, month_end
    );
    return moved;
end
$$;

-- Give the rows in DEFAULT their month, where it lies within what is kept and made ahead. Others
-- (a clock that is years off) stay where they are and are reported, instead of making a partition
-- that all later maintenance would take for the newest.
create or replace function phasegate_stack.drain_default(parent regclass, since timestamptz, until timestamptz)
returns bigint
language plpgsql
set search_path = ''
set timezone = 'UTC'
as $$
declare
    spare regclass;
    key name;
    month timestamptz;
    moved bigint := 0;
begin
    select p.partition into spare from phasegate_stack.partitions_of(parent) as p where p.is_default;
    if spare is null then
        return 0;
    end if;
    select a.attname into strict key
    from pg_catalog.pg_partitioned_table as t
    join pg_catalog.pg_attribute as a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]
    where t.partrelid = parent;

    for month in execute format(
        'select distinct date_trunc(''month'', %1$I) from only %2$s where %1$I >= $1 and %1$I < $2',
        key, spare
    ) using since, until
    loop
        moved := moved + phasegate_stack.make_month(parent, month);
    end loop;
    return moved;
end
$$;

-- Drop the partitions that ended before `before`; returns how many. Never DEFAULT. DROP gives the
-- disk back at once, which DELETE does not.
create or replace function phasegate_stack.drop_months(parent regclass, before timestamptz)
returns integer
language plpgsql
set search_path = ''
set lock_timeout = '5s'
as $$
declare
    old regclass;
    dropped integer := 0;
begin
    for old in
        select p.partition from phasegate_stack.partitions_of(parent) as p where p.month_end < before
    loop
        execute format('drop table %s', old);
        dropped := dropped + 1;
    end loop;
    return dropped;
end
$$;

-- Rows of DEFAULT that wait for a partition (counted up to 10,000: beyond, it is simply many), and
-- how far ahead the partitions reach.
create or replace function phasegate_stack.partition_state(parent regclass)
returns table (partitions bigint, oldest timestamptz, newest_end timestamptz, default_rows bigint)
language plpgsql
stable
set search_path = ''
as $$
declare
    spare regclass;
begin
    select count(*), min(p.month), max(p.month_end)
    into partitions, oldest, newest_end
    from phasegate_stack.partitions_of(parent) as p where not p.is_default;

    select p.partition into spare from phasegate_stack.partitions_of(parent) as p where p.is_default;
    if spare is not null then
        execute format('select count(*) from (select from only %s limit 10000) as waiting', spare)
        into default_rows;
    end if;
    return next;
end
$$;

-- One round of maintenance over every table with a policy. Idempotent; two at once do it once.
create or replace function phasegate_stack.maintain_partitions()
returns table (parent text, made integer, dropped integer, moved bigint)
language plpgsql
set search_path = ''
set timezone = 'UTC'
as $$
declare
    policy phasegate_stack.partition_policy;
    target regclass;
    month timestamptz;
    since timestamptz;
    until timestamptz;
    before bigint;
begin
    if not pg_try_advisory_xact_lock(hashtext('phasegate.maintain_partitions')) then
        return;
    end if;
    for policy in select * from phasegate_stack.partition_policy loop
        target := policy.parent::regclass;
        since := date_trunc('month', now() - make_interval(months => policy.keep_months));
        until := date_trunc('month', now()) + make_interval(months => policy.ahead_months + 1);

        dropped := phasegate_stack.drop_months(target, now() - make_interval(months => policy.keep_months));
        before := (select count(*) from phasegate_stack.partitions_of(target));
        moved := phasegate_stack.drain_default(target, since, until);
        -- From the newest one on, or from this month where there is none: no gap in between.
        for month in
            select generate_series(
                coalesce(
                    (select max(p.month_end) from phasegate_stack.partitions_of(target) as p
                     where p.month_end <= until),
                    date_trunc('month', now())
                ),
                until - interval '1 month',
                interval '1 month'
            )
        loop
            moved := moved + phasegate_stack.make_month(target, month);
        end loop;
        parent := policy.parent;
        made := (select count(*) from phasegate_stack.partitions_of(target)) - before;
        update phasegate_stack.partition_policy as p set maintained_at = now() where p.parent = policy.parent;
        return next;
    end loop;
end
$$;

revoke all on all functions in schema phasegate_stack from public;
