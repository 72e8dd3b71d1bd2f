-- Of these users, how many are registered.
select count(*) from auth.users where id = any($1::uuid[])
