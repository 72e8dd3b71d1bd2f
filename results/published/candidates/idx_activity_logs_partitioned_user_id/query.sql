-- What a delete of public.profiles looks for.
select count(*) from public.activity_logs_partitioned where user_id = $1
