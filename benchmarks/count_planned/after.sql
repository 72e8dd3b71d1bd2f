-- `Prefer: count=planned`: the planner's estimate, as PostgREST reads it.
explain (format json) select 1 from public.tasks where status = 'done'
