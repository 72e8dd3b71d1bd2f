-- Kilobytes, since rows lie in the order in which they were created.
create index bench_logs_brin on public.activity_logs using brin (created_at);
