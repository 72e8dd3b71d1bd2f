-- The same from the materialised view, by the function that shows a user their own row only.
select task_count, completed_count, last_activity from public.user_stats() where user_id = $1
