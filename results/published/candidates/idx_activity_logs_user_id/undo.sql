-- Undo: the index goes; reads and writes go on meanwhile.
set lock_timeout = '5s';
drop index concurrently if exists public.idx_activity_logs_user_id;
reset lock_timeout;
