-- Parameters for the arms: task rows drawn at random, so that a user comes up as often as they are
-- active. $1: percentage of rows to look at, $2: seed, $3: how many to keep.
--
-- Bernoulli and not system sampling: a page holds the tasks of one hour of one day.
select
    user_id,
    project_id,
    created_at,
    (select max(created_at) from public.activity_logs) as now
from public.tasks tablesample bernoulli ($1) repeatable ($2)
where project_id is not null
order by md5(id::text || $2::text)
limit $3
