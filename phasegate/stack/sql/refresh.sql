-- Materialised views that are filled again on a schedule: which, how often, when they last were.
-- Idempotent. Not reachable by the API's roles.

create schema if not exists phasegate_stack;
revoke all on schema phasegate_stack from public, anon, authenticated, service_role;

-- A view's contents are as of `refreshed_at`, which is when its last refresh began.
create table if not exists phasegate_stack.refreshes (
    view         text             primary key,  -- schema-qualified
    every_s      double precision not null check (every_s > 0),
    refreshed_at timestamptz      not null,     -- or first declared
    duration_s   double precision               -- null: not refreshed yet
);

-- The views that are looked after, from now on: [{"view", "every_s"}]. One that is not there is left
-- out, since whatever makes it has not been applied. One that was known keeps its age.
create or replace function phasegate_stack.declare_refreshes(views jsonb)
returns void
language plpgsql
set search_path = ''
as $$
begin
    delete from phasegate_stack.refreshes as r
    where not exists (
        select from jsonb_array_elements(views) as d
        where d ->> 'view' = r.view and to_regclass(r.view) is not null
    );
    insert into phasegate_stack.refreshes (view, every_s, refreshed_at)
    select d ->> 'view', (d ->> 'every_s')::double precision, now()
    from jsonb_array_elements(views) as d
    where to_regclass(d ->> 'view') is not null
    on conflict (view) do update set every_s = excluded.every_s;
end
$$;

-- Fill a view again without locking readers out; true when done. False when another refresh of it is
-- under way, which then is as good: two at once would only queue behind each other.
create or replace function phasegate_stack.refresh_view(view text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
    began constant timestamptz := clock_timestamp();
    target constant regclass := to_regclass(view);
begin
    if target is null or not exists (
        select from phasegate_stack.refreshes as r where r.view = refresh_view.view
    ) then
        raise undefined_table using message = format('%s is no view that is refreshed', view);
    end if;
    if not pg_try_advisory_xact_lock(hashtextextended('phasegate.refresh ' || view, 0)) then
        return false;
    end if;
    execute format('refresh materialized view concurrently %s', target);
    update phasegate_stack.refreshes as r
    set refreshed_at = began,
        duration_s = extract(epoch from clock_timestamp() - began)
    where r.view = refresh_view.view;
    return true;
end
$$;

revoke all on all functions in schema phasegate_stack from public;
