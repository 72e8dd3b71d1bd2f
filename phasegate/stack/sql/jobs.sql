-- Background jobs: what was asked for, by whom, and what came of it. The queue that carries them to
-- the worker is pgqueuer's (schema `queue`); this table is what users see, and what makes work happen
-- once: doing it and noting that it is done are one transaction.
-- Idempotent. Not reachable by the API's roles: the functions service asks on their behalf.

create schema if not exists phasegate_stack;
revoke all on schema phasegate_stack from public, anon, authenticated, service_role;

-- The table of what was asked for, with users as this project has them; and a user's key, read from
-- the text of a token's `sub`.
create or replace function phasegate_stack.make_jobs(users_table text, users_key text)
returns void
language plpgsql
set search_path = ''
as $make_jobs$
declare
    users constant regclass := to_regclass(users_table);
    key_type constant text := (
        select format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute as a
        where a.attrelid = users and a.attname = users_key and not a.attisdropped
    );
begin
    if key_type is null then
        raise undefined_column
            using message = format('there is no column %s of a table %s', users_key, users_table);
    end if;
    execute format(
        $table$
        create table if not exists phasegate_stack.jobs (
            job         text        not null,  -- its name in the project, and its route
            task_id     text        not null,  -- what it is about, or a new id for a whole account
            named       boolean     not null,  -- whether the user named what it is about
            owner       %1$s        not null references %2$s (%3$I) on delete cascade,
            status      text        not null check (status in ('processing', 'done', 'failed')),
            wait_ms     integer     not null check (wait_ms >= 0),  -- for a service elsewhere
            runs        integer     not null default 0,    -- times that it was done, ever
            result      jsonb,                             -- null until done
            accepted_at timestamptz not null,
            finished_at timestamptz,                       -- null until done or failed
            primary key (job, task_id)
        )
        $table$,
        key_type, users, users_key
    );
    -- What waits, oldest first: for the age of the queue and for what lost its place in it.
    create index if not exists jobs_processing
        on phasegate_stack.jobs (accepted_at) where status = 'processing';
    -- A user who leaves takes their jobs along.
    create index if not exists jobs_user on phasegate_stack.jobs (owner);
    execute format(
        'create or replace function phasegate_stack.user_key(subject text) returns %s'
        ' language sql immutable set search_path = %L as $$ select subject::%s $$',
        key_type, '', key_type
    );
end
$make_jobs$;

-- The jobs that there are, from now on: [{"job", "work", "owns"}]. `work` is the statement that does
-- it: $1 the user's key, $2 the id that the user named (text, or null); one value, its result.
-- `owns` says whose an id is: $1 and $2 likewise; the id where it is that user's, else no row.
create or replace function phasegate_stack.declare_jobs(kinds jsonb)
returns void
language plpgsql
set search_path = ''
as $declare_jobs$
declare
    kind record;
    key_type constant text := (
        select format_type(p.prorettype, null) from pg_catalog.pg_proc as p
        where p.oid = 'phasegate_stack.user_key(text)'::regprocedure
    );
begin
    for kind in
        select d ->> 'job' as job, d ->> 'work' as work, d ->> 'owns' as owns
        from jsonb_array_elements(kinds) as d
    loop
        execute format(
            'create or replace function phasegate_stack.%I(%s, text) returns jsonb language sql'
            ' set search_path = %L as %L',
            'work ' || kind.job, key_type, '', kind.work
        );
        execute format(
            'create or replace function phasegate_stack.%I(%s, text) returns text language sql'
            ' set search_path = %L as %L',
            'owns ' || kind.job, key_type, '', coalesce(kind.owns, 'select null::text')
        );
    end loop;
    revoke all on all functions in schema phasegate_stack from public;
end
$declare_jobs$;

-- Note what a user asks for. `fresh` is false where it is under way already: asking twice is once.
-- No row where `named` is another user's, or nobody's: the caller must not learn which.
create or replace function phasegate_stack.accept_job(job text, subject text, named text, wait integer)
returns table (task_id text, fresh boolean)
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    id text := gen_random_uuid()::text;
begin
    if named is not null then
        execute format('select phasegate_stack.%I(phasegate_stack.user_key($1), $2)', 'owns ' || accept_job.job)
        into id using subject, named;
        if id is null then
            return;
        end if;
    end if;
    insert into phasegate_stack.jobs as j (job, task_id, named, owner, status, wait_ms, accepted_at)
    values (
        accept_job.job, id, accept_job.named is not null, phasegate_stack.user_key(subject),
        'processing', wait, clock_timestamp()
    )
    on conflict (job, task_id) do update
    set status = 'processing', wait_ms = excluded.wait_ms, result = null,
        accepted_at = excluded.accepted_at, finished_at = null
    where j.status <> 'processing';
    return query select id, found;
end
$$;

-- Do one job's work and say so, both or neither; false where there is nothing left to do. A second
-- worker that was handed the same job waits for the row, and then finds it done.
create or replace function phasegate_stack.finish_job(job text, task text)
returns boolean
language plpgsql
set search_path = ''
as $$
#variable_conflict use_column
declare
    asked record;
    done jsonb;
begin
    select j.owner, j.named into asked from phasegate_stack.jobs as j
    where j.job = finish_job.job and j.task_id = finish_job.task and j.status = 'processing'
    for update;
    if not found then
        return false;
    end if;
    execute format('select phasegate_stack.%I($1, $2)', 'work ' || finish_job.job)
    into done using asked.owner, case when asked.named then finish_job.task end;
    update phasegate_stack.jobs as j
    set status = 'done', runs = runs + 1, result = done, finished_at = clock_timestamp()
    where j.job = finish_job.job and j.task_id = finish_job.task;
    return true;
end
$$;

-- How a user's job stands; no row where it is not theirs, or was never asked for.
create or replace function phasegate_stack.job_status(job text, subject text, task text)
returns table (
    task_id text, status text, runs integer, result jsonb,
    accepted_at timestamptz, finished_at timestamptz
)
language plpgsql
stable
set search_path = ''
as $$
#variable_conflict use_column
begin
    return query
    select j.task_id, j.status, j.runs, j.result, j.accepted_at, j.finished_at
    from phasegate_stack.jobs as j
    where j.job = job_status.job and j.task_id = job_status.task
      and j.owner = phasegate_stack.user_key(subject);
end
$$;

revoke all on all functions in schema phasegate_stack from public;
