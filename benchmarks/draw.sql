-- Parameters for the arms: task rows drawn at random, so that a user comes up as often as they are
-- active; `now` is the newest moment of the data. $1: seed, $2: how many to keep.
--
-- Bernoulli and not system sampling: a page holds the tasks of one hour of one day. Four times as
-- many as are kept are looked at, because a sample's size is itself random and 30% have no project.
select
    user_id as sub,
    user_id,
    project_id,
    created_at,
    (select max(created_at) from public.activity_logs) as now
from public.tasks
tablesample bernoulli (
    (
        select least(100, 400.0 * $2::int / greatest(reltuples, 1))
        from pg_class where oid = 'public.tasks'::regclass
    )
) repeatable ($1::int)
where project_id is not null
order by md5(id::text || $1)
limit $2::int
