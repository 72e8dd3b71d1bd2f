-- Index tasks (user_id, created_at DESC): a user's tasks, newest first, without a sort.
-- Safe on a live table: reads and writes go on while it is built. It waits at most five seconds for
-- its lock and then gives up; run it again at a quieter moment. `drop` first, because a build that
-- was cut short leaves an invalid index behind, which `if not exists` would take for the index.
-- CONCURRENTLY cannot run in a transaction: use the Supabase CLI from 2.112 on, which runs such
-- statements by themselves, or psql.
set lock_timeout = '5s';
drop index concurrently if exists public.idx_tasks_user_created;
create index concurrently idx_tasks_user_created
    on public.tasks (user_id, created_at desc);
reset lock_timeout;
