-- The jobs that are accepted, and done by a worker later. Needs jobs.sql.

create table if not exists private.queued_jobs (
    job text primary key  -- its name in the project
);

-- These and no others, from now on; what was asked for of others stays in private.jobs.
create or replace function private.queue_jobs(names text[])
returns void
language sql
set search_path = ''
as $$
    delete from private.queued_jobs where job <> all (names);
    insert into private.queued_jobs (job) select unnest(names) on conflict do nothing;
$$;

revoke all on all functions in schema private from public;
