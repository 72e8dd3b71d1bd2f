-- The middle of all tasks: how many come before it, and the last of those.
with half as (select greatest(count(*) / 2, 1)::bigint as skipped from public.tasks)
select half.skipped, before.id as last_id
from half
cross join lateral (
    select id from public.tasks order by id offset half.skipped - 1 limit 1
) as before
