-- The first page of a search, as the API asks for it.
select id, subject, status, changed_at from search_tickets($1)
