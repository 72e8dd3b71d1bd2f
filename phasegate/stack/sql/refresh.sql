-- Scheduled refreshes: when the statistics view was last filled, and how to fill it again.

create schema if not exists private;
revoke all on schema private from public, anon, authenticated, service_role;

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
