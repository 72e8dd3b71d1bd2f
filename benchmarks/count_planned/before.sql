-- `Prefer: count=exact`: every row is visited.
select count(*) from public.tasks where status = 'done'
