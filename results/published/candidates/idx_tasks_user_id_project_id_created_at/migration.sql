-- tasks: an index on user_id, project_id, created_at. Reads and writes go on while it is built.
-- It waits at most five seconds for its lock and then gives up; run it again then.
set lock_timeout = '5s';
drop index concurrently if exists public.idx_tasks_user_id_project_id_created_at;
create index concurrently idx_tasks_user_id_project_id_created_at
    on public.tasks (user_id, project_id, created_at desc);
reset lock_timeout;
