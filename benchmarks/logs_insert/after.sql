-- The same in the partitioned table, which first finds the month.
insert into public.activity_logs_partitioned (id, user_id, action, created_at)
values ($1, $2, 'open', $3)
returning user_id, action
