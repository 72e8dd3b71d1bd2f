-- An index that answers the inbox by itself: in its order, with its columns, without what is deleted.
-- Safe on a live table: reads and writes go on while it is built.
set lock_timeout = '5s';
drop index concurrently if exists public.tickets_inbox;
create index concurrently tickets_inbox on public.tickets (organisation_id, changed_at desc)
    include (id, subject, status)
    where deleted_at is null;
reset lock_timeout;
