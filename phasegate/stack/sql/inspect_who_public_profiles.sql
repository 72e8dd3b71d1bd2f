-- Of these users, how many are registered.
select count(*) from public.profiles where id = any($1::uuid[])
