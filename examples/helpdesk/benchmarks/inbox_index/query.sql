-- The inbox as agents see it: what is not solved, the last changed first.
select id, subject, status, changed_at
from public.tickets
where organisation_id = $1 and status in ('open', 'waiting') and deleted_at is null
order by changed_at desc
limit 25
