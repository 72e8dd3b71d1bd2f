-- Undo: the index goes; reads and writes go on meanwhile.
set lock_timeout = '5s';
drop index concurrently if exists public.activity_logs_created_at_brin;
reset lock_timeout;
