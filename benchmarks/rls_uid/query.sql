-- A user's projects. There is no index on projects (user_id), so the policy is asked row by row.
select id, name, color from public.projects order by created_at desc, id limit 50
