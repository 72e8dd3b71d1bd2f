-- Undo: the index goes; reads and writes go on meanwhile.
set lock_timeout = '5s';
drop index concurrently if exists public.idx_tasks_user_id_project_id_created_at;
reset lock_timeout;
