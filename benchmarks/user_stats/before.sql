-- The twenty most diligent users, counted live. An operator's question: no row-level security.
select
    p.id                                       as user_id,
    count(t.id)                                as task_count,
    count(t.completed_at)                      as completed_count,
    max(greatest(t.created_at, t.completed_at)) as last_activity
from public.profiles as p
left join public.tasks as t on t.user_id = p.id
group by p.id
order by completed_count desc, p.id
limit 20
