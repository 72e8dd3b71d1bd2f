-- Row-level security on the application's tables and their partitions, and the grants of the API's
-- roles. Needs schema.sql and what a Supabase project brings; idempotent; a second run takes no exclusive lock. Tables of
-- somebody else's in the same schema are left alone.
--
-- The policies decide which rows exist for a user: their own. Nobody who has not signed in is asked
-- for anything, so anon has no grant; nor has anybody on a partition, which is reached through its
-- table. A Supabase project's default privileges give all three roles everything on a new table,
-- TRUNCATE included, which asks no policy: that is taken back here.

select pg_advisory_xact_lock(hashtextextended('policies.sql of the task app', 0));

do $close$
declare
    relation regclass;
    grantee  text;
begin
    for relation in
        select c.oid
        from pg_class as c
        where c.relnamespace = 'public'::regnamespace
            and not c.relrowsecurity
            and coalesce(pg_partition_root(c.oid)::oid, c.oid) in (
                'profiles'::regclass, 'projects'::regclass, 'tasks'::regclass,
                'activity_logs'::regclass, 'activity_logs_partitioned'::regclass
            )
            and c.relkind in ('r', 'p')
    loop
        execute format('alter table %s enable row level security', relation);
    end loop;

    for relation, grantee in
        select distinct
            c.oid::regclass,
            case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.relnamespace = 'public'::regnamespace
            and coalesce(pg_partition_root(c.oid)::oid, c.oid) in (
                'profiles'::regclass, 'projects'::regclass, 'tasks'::regclass,
                'activity_logs'::regclass, 'activity_logs_partitioned'::regclass
            )
            and c.relkind in ('r', 'p')
            and a.grantee <> c.relowner
            and a.grantee in (
                0, 'anon'::regrole, 'authenticated'::regrole, 'service_role'::regrole
            )
            and (
                c.relispartition
                or a.grantee in (0, 'anon'::regrole)
                or a.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
            )
    loop
        execute format('revoke all on %s from %s', relation, grantee);
    end loop;
end
$close$;

grant usage on schema public to anon, authenticated, service_role;
grant select, insert, update, delete
    on profiles, projects, tasks, activity_logs, activity_logs_partitioned
    to authenticated, service_role;

do $policies$
begin
    if exists (
        select from pg_policies where schemaname = 'public' and policyname = 'own profile'
    ) then
        return;
    end if;

    -- `(select auth.uid())` is evaluated once for a statement; a bare `auth.uid()` for every row.
    create policy "own profile" on profiles for all to authenticated
        using (id = (select auth.uid())) with check (id = (select auth.uid()));

    create policy "own projects" on projects for all to authenticated
        using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));

    -- Foreign keys are checked without row-level security: without the second condition, a user
    -- could hang a task on another's project, and learn which project ids exist.
    create policy "own tasks" on tasks for all to authenticated
        using (user_id = (select auth.uid()))
        with check (
            user_id = (select auth.uid())
            and (
                project_id is null
                or exists (select from projects where projects.id = tasks.project_id)
            )
        );

    -- A log is written and read, never changed.
    create policy "read own log" on activity_logs for select to authenticated
        using (user_id = (select auth.uid()));
    create policy "write own log" on activity_logs for insert to authenticated
        with check (user_id = (select auth.uid()));
    create policy "read own log" on activity_logs_partitioned for select to authenticated
        using (user_id = (select auth.uid()));
    create policy "write own log" on activity_logs_partitioned for insert to authenticated
        with check (user_id = (select auth.uid()));
end
$policies$;
