-- Rolled back after each block.
drop index public.bench_logs_brin
