-- What a delete of public.profiles looks for.
select count(*) from public.projects where user_id = $1
