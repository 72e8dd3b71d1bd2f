drop index if exists public.bench_logs_user;
drop index if exists public.bench_logs_user_partitioned;
