-- Parameters, drawn by the columns that they are compared with.
with read as (
select *, row_number() over () as n from (
select s0.id::text as sub,
    '20'::text as p1,
    '0'::text as p2,
    r.user_id::text as p3,
    r.project_id::text as p4
from (
    select * from public.tasks tablesample bernoulli ((
        select least(100, 400.0 * 512 / greatest(reltuples, 1))
        from pg_class where oid = 'public.tasks'::regclass
    )) repeatable (1)
) as r
join lateral (select * from public.profiles as o where o.id = r.user_id limit 1) as s0 on true
order by md5(r::text)
limit 512
) as q
),
written as (
select *, row_number() over () as n from (
select s0.id::text as sub,
    jsonb_build_object('user_id', to_jsonb(r.user_id), 'project_id', to_jsonb(r.project_id), 'title', '"phasegate load test: water the plants"'::jsonb)::text as p1
from (
    select * from public.tasks tablesample bernoulli ((
        select least(100, 400.0 * 512 / greatest(reltuples, 1))
        from pg_class where oid = 'public.tasks'::regclass
    )) repeatable (1)
) as r
join lateral (select * from public.profiles as o where o.id = r.user_id limit 1) as s0 on true
order by md5(r::text)
limit 512
) as q
)
select r.*, w.p1 as w1 from read as r join written as w using (n)
