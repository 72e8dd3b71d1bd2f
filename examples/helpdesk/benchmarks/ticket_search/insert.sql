-- Ten new tickets, each with its words.
insert into public.tickets (organisation_id, subject, body)
select $1::bigint, 'Benchmark ' || n, 'The printer on floor ' || n || ' has run out of paper again'
from generate_series(1, 10) as n
returning 1
