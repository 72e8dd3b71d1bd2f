-- Rows that refer to public.profiles.
select s0.id::text as sub,
    r.user_id::text as p1
from (select * from public.activity_logs_partitioned limit 51200) as r
join lateral (select * from public.profiles as o where o.id = r.user_id limit 1) as s0 on true
order by md5(r::text)
limit 512
