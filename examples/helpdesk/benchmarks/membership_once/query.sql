-- What an agent is asked first: for which of their organisations to work.
select id, name from public.organisations order by name
