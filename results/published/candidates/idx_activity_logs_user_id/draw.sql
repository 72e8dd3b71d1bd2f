-- Rows that refer to public.profiles.
select s0.id::text as sub,
    r.user_id::text as p1
from (
    select * from public.activity_logs tablesample bernoulli ((
        select least(100, 400.0 * 512 / greatest(reltuples, 1))
        from pg_class where oid = 'public.activity_logs'::regclass
    )) repeatable (1)
) as r
join lateral (select * from public.profiles as o where o.id = r.user_id limit 1) as s0 on true
order by md5(r::text)
limit 512
