-- Users to ask as: task rows drawn at random, so that a user comes up as often as they are active
-- (as compare/sql/draw.sql, which says why it draws like this). $1: seed, $2: how many.
select user_id, project_id
from public.tasks
tablesample bernoulli (
    (
        select least(100, 400.0 * $2::int / greatest(reltuples, 1))
        from pg_class where oid = 'public.tasks'::regclass
    )
) repeatable ($1::int)
where project_id is not null
order by md5(id::text || $1::text)
limit $2::int
