-- activity_logs: an index on user_id. Reads and writes go on while it is built.
-- It waits at most five seconds for its lock and then gives up; run it again then.
set lock_timeout = '5s';
drop index concurrently if exists public.idx_activity_logs_user_id;
create index concurrently idx_activity_logs_user_id
    on public.activity_logs (user_id);
reset lock_timeout;
