-- The task $2, where it is one of user $1's.
select t.id from public.tasks as t where t.id = $2::uuid and t.user_id = $1
