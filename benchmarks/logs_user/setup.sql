-- The same index on both tables: a user's recent activity, newest first.
create index bench_logs_user on public.activity_logs (user_id, created_at desc);
create index bench_logs_user_partitioned
    on public.activity_logs_partitioned (user_id, created_at desc);
