-- The oldest month that has a partition, and where it ends.
select bound.until
from pg_inherits
join pg_class on pg_class.oid = inhrelid
cross join lateral (
    select (regexp_match(pg_get_expr(relpartbound, inhrelid), 'TO \(''([^'']+)''\)'))[1]::timestamptz
        as until
) as bound
where inhparent = 'public.activity_logs_partitioned'::regclass and bound.until is not null
order by bound.until
limit 1
