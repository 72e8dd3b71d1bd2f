-- The statement that both arms of the self-check run.
select id, title, created_at from public.tasks where user_id = $1 order by created_at desc limit 20
