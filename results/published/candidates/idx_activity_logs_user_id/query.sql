-- What a delete of public.profiles looks for.
select count(*) from public.activity_logs where user_id = $1
