-- Keys, and the index that a member's notes are found by.
alter table public.members add primary key (id);
alter table public.notes add primary key (id);
alter table public.notes add foreign key (member_id) references public.members (id);
create index on public.notes (member_id, written_at desc);
