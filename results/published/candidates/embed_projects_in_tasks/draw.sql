-- Parameters, drawn by the columns that they are compared with.
select s0.id::text as sub,
    '20'::text as p1,
    '0'::text as p2,
    r.user_id::text as p3
from (
    select * from public.tasks tablesample bernoulli ((
        select least(100, 400.0 * 512 / greatest(reltuples, 1))
        from pg_class where oid = 'public.tasks'::regclass
    )) repeatable (1)
) as r
join lateral (select * from public.profiles as o where o.id = r.user_id limit 1) as s0 on true
order by md5(r::text)
limit 512
