-- A GIN index on the words of tickets, and a search that can use it. Row-level security keeps it from
-- an index: `@@` is not leakproof, so the policy comes first, for every ticket. The function therefore
-- runs as its owner and asks for the caller's organisations itself.
-- Safe on a live table: reads and writes go on while the index is built.
set lock_timeout = '5s';
drop index concurrently if exists public.tickets_search;
create index concurrently tickets_search on public.tickets using gin (search)
    where deleted_at is null;
create or replace function public.search_tickets(words text, with_fields jsonb default '{}')
returns setof public.tickets
language sql stable security definer set search_path = '' as $$
    select *
    from public.tickets
    where search @@ websearch_to_tsquery('simple', words)
        and fields @> with_fields
        and deleted_at is null
        and organisation_id in (
            select organisation_id from public.memberships where agent_id = private.agent_id()
        )
    order by changed_at desc
    limit 25
$$;
reset lock_timeout;
