-- Undo: the search as it was shipped, with the caller's rights; the index goes.
set lock_timeout = '5s';
create or replace function public.search_tickets(words text, with_fields jsonb default '{}')
returns setof public.tickets
language sql stable security invoker set search_path = '' as $$
    select *
    from public.tickets
    where search @@ websearch_to_tsquery('simple', words)
        and fields @> with_fields
        and deleted_at is null
    order by changed_at desc
    limit 25
$$;
drop index concurrently if exists public.tickets_search;
reset lock_timeout;
