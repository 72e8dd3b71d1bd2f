-- Stack level 3, the part that lives in the database: level 2 and a materialised view of every
-- user's statistics.

-- A materialised view cannot have row-level security. In a schema that the API serves it would show
-- every user's row to anybody, so it lives in one that the API does not serve and nobody may enter.
create schema if not exists private;
revoke all on schema private from public, anon, authenticated, service_role;

-- Tasks are counted first and joined after. Joined first, PostgreSQL walks idx_tasks_user_created to
-- have them in order, a random read for each task: 10 s against 1.8 s at 100k users.
create materialized view if not exists private.user_stats as
select
    p.id                           as user_id,
    coalesce(t.task_count, 0)      as task_count,
    coalesce(t.completed_count, 0) as completed_count,
    t.last_activity
from public.profiles as p
left join (
    select
        user_id,
        count(*)                                as task_count,
        count(completed_at)                     as completed_count,
        max(greatest(created_at, completed_at)) as last_activity
    from public.tasks
    group by user_id
) as t on t.user_id = p.id;

-- REFRESH … CONCURRENTLY needs it, and the read below is one look-up in it.
create unique index if not exists user_stats_user_id on private.user_stats (user_id);

-- When it was last filled, and how long that took: one row. The contents are as of `refreshed_at`,
-- which is when the refresh began.
create table if not exists private.user_stats_refresh (
    only_row     boolean          primary key default true check (only_row),
    refreshed_at timestamptz      not null,
    duration_s   double precision not null
);
insert into private.user_stats_refresh (refreshed_at, duration_s)
values (now(), extract(epoch from clock_timestamp() - now()))
on conflict do nothing;

-- Fill it again without locking readers out; true when done. False when another refresh is under
-- way, which then is as good: two at once would only queue behind each other.
create or replace function private.refresh_user_stats()
returns boolean
language plpgsql
set search_path = ''
as $$
declare
    began constant timestamptz := clock_timestamp();
begin
    if not pg_try_advisory_xact_lock(hashtext('phasegate.refresh_user_stats')) then
        return false;
    end if;
    refresh materialized view concurrently private.user_stats;
    update private.user_stats_refresh
    set refreshed_at = began,
        duration_s = extract(epoch from clock_timestamp() - began);
    return true;
end
$$;
revoke all on function private.refresh_user_stats() from public;

-- The same face as at level 1, answered from the view. It runs as its owner because the caller may
-- not enter `private`; the filter on auth.uid() is what keeps users apart. A user who signed up
-- after the last refresh gets zeros, as at level 1.
create or replace function public.user_stats()
returns table (user_id uuid, task_count bigint, completed_count bigint, last_activity timestamptz)
language sql
stable
security definer
set search_path = ''
as $$
    select
        me.id,
        coalesce(s.task_count, 0),
        coalesce(s.completed_count, 0),
        s.last_activity
    from (select auth.uid() as id) as me
    left join private.user_stats as s on s.user_id = me.id
    where me.id is not null
$$;

revoke all on function public.user_stats() from public, anon;
grant execute on function public.user_stats() to authenticated;

analyze private.user_stats;
