-- activity_logs partitioned by month, from the next month on. No row is moved: the table that is
-- there becomes the partition of everything before, and reads of the last days gain from the first
-- new month on. Four months are made ahead, and a DEFAULT partition takes what comes after them:
-- make a month ahead every month (pg_partman does), or reads prune no more.
-- Safe on a live table: the index is built and the check validated while reads and writes go on; the
-- swap at the end is a change of the catalogue alone, in one transaction. Each step waits at most
-- five seconds for its lock and then gives up, with the table in working order; run it all again.
-- Once swapped, it is refused with nothing changed. Policies, grants, defaults, indexes and foreign
-- keys go over to the new parent; triggers, views and references to the table do not, and are refused.
-- CONCURRENTLY cannot run in a transaction: use the Supabase CLI from 2.112 on, which runs such
-- statements by themselves, or psql. The key becomes (id, created_at): a partition's must hold the
-- month's column, so `id` alone is no longer kept unique across months.
set lock_timeout = '5s';
drop index concurrently if exists public.activity_logs_id_created_at;
do $$
begin
    if (
        select c.relkind <> 'r' or exists (
            select from pg_catalog.pg_attribute as a where a.attrelid = c.oid and a.attidentity <> ''
        ) or exists (
            select from pg_catalog.pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal
        ) or exists (
            select from pg_catalog.pg_depend as d
            where d.refobjid = c.oid and d.classid = 'pg_catalog.pg_rewrite'::regclass
        )
        from pg_catalog.pg_class as c
        where c.oid = 'public.activity_logs'::regclass
    ) then
        raise exception 'activity_logs is partitioned already, or has an identity column, triggers or views'
            using hint = 'Partition it by hand: this migration would lose them';
    end if;
    -- A migration that was cut short long ago: its bound may be behind us by now.
    alter table public.activity_logs drop constraint if exists activity_logs_before_month;
    -- A week from now at the least: until the swap, no row may come from behind the bound.
    execute format(
        'alter table public.activity_logs add constraint activity_logs_before_month'
        ' check (created_at < %L) not valid',
        (date_trunc('month', (now() at time zone 'utc') + interval '7 days') + interval '1 month')
            at time zone 'utc'
    );
end
$$;
create unique index concurrently activity_logs_id_created_at
    on public.activity_logs (id, created_at);
alter table public.activity_logs validate constraint activity_logs_before_month;
do $$
declare
    bound timestamptz;
    key name;
    found record;
begin
    lock table public.activity_logs in access exclusive mode;
    select (regexp_match(pg_get_constraintdef(oid), $re$'([^']+)'$re$))[1]::timestamptz
    into strict bound
    from pg_catalog.pg_constraint
    where conrelid = 'public.activity_logs'::regclass and conname = 'activity_logs_before_month';
    select conname into strict key
    from pg_catalog.pg_constraint
    where conrelid = 'public.activity_logs'::regclass and contype = 'p';

    execute format(
        'alter table public.activity_logs drop constraint %I,'
        ' add constraint activity_logs_before_pkey primary key using index'
        ' activity_logs_id_created_at',
        key
    );
    alter table public.activity_logs rename to activity_logs_before;
    create table public.activity_logs
        (like public.activity_logs_before including defaults including generated including storage)
        partition by range (created_at);
    execute format(
        'alter table public.activity_logs add constraint %I primary key (id, created_at)', key
    );
    -- What the old table has, the parent gets before it takes it in: nothing is then built twice.
    for found in
        select regexp_replace(
            pg_get_indexdef(i.indexrelid), ' INDEX .* ON public\.activity_logs_before ',
            ' INDEX ON public.activity_logs '
        ) as text
        from pg_catalog.pg_index as i
        where i.indrelid = 'public.activity_logs_before'::regclass and not i.indisprimary
        union all
        select format('alter table public.activity_logs add %s', pg_get_constraintdef(oid))
        from pg_catalog.pg_constraint
        where conrelid = 'public.activity_logs_before'::regclass and contype = 'f'
        union all
        select format(
            'grant %s on public.activity_logs to %s',
            acl.privilege_type,
            case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
        )
        from pg_catalog.pg_class as c
        cross join lateral aclexplode(c.relacl) as acl
        where c.oid = 'public.activity_logs_before'::regclass
        union all
        select format(
            'create policy %I on public.activity_logs as %s for %s to %s%s%s',
            p.policyname,
            p.permissive,
            p.cmd,
            (select string_agg(quote_ident(role), ', ') from unnest(p.roles) as role),
            ' using (' || p.qual || ')',
            ' with check (' || p.with_check || ')'
        )
        from (
            select
                policyname, permissive, cmd, roles,
                coalesce(qual, '') as qual, coalesce(with_check, '') as with_check
            from pg_catalog.pg_policies
            where schemaname = 'public' and tablename = 'activity_logs_before'
        ) as p
    loop
        execute replace(replace(found.text, ' using ()', ''), ' with check ()', '');
    end loop;

    execute format(
        'alter table public.activity_logs attach partition public.activity_logs_before'
        ' for values from (minvalue) to (%L)',
        bound
    );
    alter table public.activity_logs_before drop constraint activity_logs_before_month;
    for found in
        select
            to_char(begins, '"activity_logs_p"YYYY"_"MM')           as name,
            begins at time zone 'utc'                              as month,
            (begins + interval '1 month') at time zone 'utc'       as month_end
        from generate_series(0, 3) as n
        cross join lateral (
            select (bound at time zone 'utc') + n * interval '1 month'
        ) as months (begins)
    loop
        execute format(
            'create table public.%I partition of public.activity_logs'
            ' for values from (%L) to (%L)',
            found.name, found.month, found.month_end
        );
    end loop;
    create table public.activity_logs_default partition of public.activity_logs default;
    -- Asked for by its own name, a partition knows nothing of its parent's policies.
    if (
        select relrowsecurity from pg_catalog.pg_class
        where oid = 'public.activity_logs_before'::regclass
    ) then
        for found in select relid from pg_partition_tree('public.activity_logs') loop
            execute format('alter table %s enable row level security', found.relid);
        end loop;
    end if;
end
$$;
reset lock_timeout;
