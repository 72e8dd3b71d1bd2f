-- Partial index tasks (project_id): a project's tasks, and the foreign key's own look-up when a
-- project is deleted. Tasks without a project stay out of it.
-- Safe on a live table: reads and writes go on while it is built. It waits at most five seconds for
-- its lock and then gives up; run it again at a quieter moment. `drop` first, because a build that
-- was cut short leaves an invalid index behind, which `if not exists` would take for the index.
-- CONCURRENTLY cannot run in a transaction: use the Supabase CLI from 2.112 on, which runs such
-- statements by themselves, or psql.
set lock_timeout = '5s';
drop index concurrently if exists public.idx_tasks_project;
create index concurrently idx_tasks_project
    on public.tasks (project_id)
    where project_id is not null;
reset lock_timeout;
