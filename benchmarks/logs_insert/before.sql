-- One action is logged, in the flat table.
insert into public.activity_logs (id, user_id, action, created_at)
values ($1, $2, 'open', $3)
returning user_id, action
