-- Parameters for the arms: task rows drawn at random, so that a user comes up as often as they are
-- active. $1: percentage of rows to look at, $2: seed, $3: how many to keep.
--
-- Bernoulli and not system sampling: a page holds the tasks of one hour of one day.
with drawn as (
    select id, user_id, created_at
    from public.tasks tablesample bernoulli ($1) repeatable ($2)
    order by md5(id::text || $2::text)
    limit $3
),
projects as (
    select project_id, row_number() over (order by md5(id::text || $2::text)) as place
    from public.tasks tablesample bernoulli ($1) repeatable ($2)
    where project_id is not null
    limit $3
),
numbered as (
    select *, row_number() over (order by md5(id::text || $2::text)) as place from drawn
)
select
    numbered.user_id,
    coalesce(projects.project_id, gen_random_uuid()) as project_id,
    numbered.created_at,
    (select max(created_at) from public.activity_logs) as now
from numbered
left join projects using (place)
order by numbered.place
