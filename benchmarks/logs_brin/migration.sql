-- BRIN index on activity_logs (created_at): kilobytes that tell which pages hold the last days.
-- Of use only while rows lie in the order in which they were created, as an append-only log's do.
-- Safe on a live table: reads and writes go on while it is built. It waits at most five seconds for
-- its lock and then gives up; run it again at a quieter moment. `drop` first, because a build that
-- was cut short leaves an invalid index behind, which `if not exists` would take for the index.
-- CONCURRENTLY cannot run in a transaction: use the Supabase CLI from 2.112 on, which runs such
-- statements by themselves, or psql.
set lock_timeout = '5s';
drop index concurrently if exists public.activity_logs_created_at_brin;
create index concurrently activity_logs_created_at_brin
    on public.activity_logs using brin (created_at);
reset lock_timeout;
