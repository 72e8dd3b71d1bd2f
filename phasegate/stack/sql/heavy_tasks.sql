-- Heavy work: what was asked for, by whom, and what came of it. The queue that carries it to the
-- worker is pgqueuer's (schema `queue`); this table is what its user sees, and what makes the work
-- happen once: doing it and noting that it is done are one transaction.
-- Idempotent. Not reachable by the API's roles: the functions service asks on their behalf.

create schema if not exists private;
revoke all on schema private from public, anon, authenticated, service_role;

create table if not exists private.heavy_tasks (
    id          uuid        primary key,   -- the user's task, or a new id for a whole account
    user_id     uuid        not null references public.profiles (id) on delete cascade,
    status      text        not null check (status in ('processing', 'done', 'failed')),
    wait_ms     integer     not null default 0 check (wait_ms >= 0),  -- for a service elsewhere
    runs        integer     not null default 0,     -- times that it was done, ever
    result      jsonb,                              -- null until done
    accepted_at timestamptz not null,
    finished_at timestamptz                         -- null until done or failed
);

-- What waits, oldest first: for the age of the queue and for tasks that lost their job.
create index if not exists heavy_tasks_processing
    on private.heavy_tasks (accepted_at)
    where status = 'processing';

-- Note what a user asks for. `fresh` is false where it is under way already: asking twice is once.
-- No row where the task is another user's, or nobody's: the caller must not learn which.
create or replace function private.accept_heavy_task(owner uuid, task uuid, wait integer)
returns table (task_id uuid, fresh boolean)
language plpgsql
set search_path = ''
as $$
begin
    if task is null then
        task := gen_random_uuid();
    elsif not exists (select from public.tasks as t where t.id = task and t.user_id = owner) then
        return;
    end if;
    insert into private.heavy_tasks as h (id, user_id, status, wait_ms, accepted_at)
    values (task, owner, 'processing', wait, clock_timestamp())
    on conflict (id) do update
    set status = 'processing', wait_ms = excluded.wait_ms, result = null,
        accepted_at = excluded.accepted_at, finished_at = null
    where h.status <> 'processing';
    return query select task, found;
end
$$;

-- The work itself: a report over everything a user ever did. Heavy because the log has no index on
-- its user: it grows with the whole table, as such reports do.
create or replace function private.heavy_report(owner uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
    select jsonb_build_object(
        'tasks', (
            select jsonb_build_object(
                'total', count(*),
                'completed', count(t.completed_at),
                'hours_to_complete', percentile_cont(0.5) within group (
                    order by extract(epoch from t.completed_at - t.created_at) / 3600
                )
            )
            from public.tasks as t where t.user_id = owner
        ),
        'months', (
            select coalesce(jsonb_object_agg(m.month, m.entries), '{}')
            from (
                select to_char(l.created_at, 'YYYY-MM') as month, count(*) as entries
                from public.activity_logs as l where l.user_id = owner group by 1
            ) as m
        )
    )
$$;

-- Do the work of one task and say so, both or neither; false where there is nothing left to do.
-- A second worker that was handed the same task waits for the row, and then finds it done.
create or replace function private.finish_heavy_task(task uuid)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
    asked private.heavy_tasks;
begin
    select * into asked from private.heavy_tasks as h
    where h.id = task and h.status = 'processing' for update;
    if not found then
        return false;
    end if;
    update private.heavy_tasks
    set status = 'done', runs = runs + 1, result = private.heavy_report(asked.user_id),
        finished_at = clock_timestamp()
    where id = task;
    return true;
end
$$;

revoke all on all functions in schema private from public;
