-- Parameters of the statements: a ticket, somebody who may see it, and whose ticket it is, as agents
-- search for it. $1: seed, $2: how many.
select a.account_id as sub, t.organisation_id, split_part(t.subject, ':', 1) as customer
from public.tickets as t
tablesample bernoulli (
    (
        select least(100, 400.0 * $2::int / greatest(reltuples, 1))
        from pg_class where oid = 'public.tickets'::regclass
    )
) repeatable ($1::int)
cross join lateral (
    select agent_id from public.memberships as m
    where m.organisation_id = t.organisation_id
    order by md5(m.agent_id::text || t.id)
    limit 1
) as m
join public.agents as a on a.id = m.agent_id
order by md5(t.id::text || $1)
limit $2::int
