-- The jobs that are accepted, and done by a worker later. Needs jobs.sql.

create table if not exists phasegate_stack.queued_jobs (
    job text primary key  -- its name in the project
);

-- These and no others, from now on; what was asked for of others stays in phasegate_stack.jobs.
create or replace function phasegate_stack.queue_jobs(names text[])
returns void
language sql
set search_path = ''
as $$
    delete from phasegate_stack.queued_jobs where job <> all (names);
    insert into phasegate_stack.queued_jobs (job) select unnest(names) on conflict do nothing;
$$;

revoke all on all functions in schema phasegate_stack from public;
