drop index if exists public.bench_logs_brin;
