-- Row-level security on every table of schema public, and the grants of the API roles.
-- Needs supabase.sql, schema.sql; idempotent; a second run takes no exclusive lock.
--
-- As in a Supabase project, anon and authenticated may address the application's tables, and the
-- policies decide which rows exist for them: a user's own, and for anon none. A table without a
-- policy (a partition, a queue) shows no rows at all.

select pg_advisory_xact_lock(hashtextextended('phasegate/rls.sql', 0));

do $enable$
declare
    relation regclass;
begin
    for relation in
        select oid from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relrowsecurity
    loop
        execute format('alter table %s enable row level security', relation);
    end loop;
end
$enable$;

grant usage on schema public to anon, authenticated, service_role;
grant select, insert, update, delete
    on profiles, projects, tasks, activity_logs, activity_logs_partitioned
    to anon, authenticated, service_role;

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
