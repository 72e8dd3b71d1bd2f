-- Keys, checks and indexes; a semicolon in a text ends nothing.
alter table only public."Members" add primary key (id);
alter table "Members" add constraint unique_mail unique (email);
alter table orgs add primary key (id);
alter table orgs add constraint slug_unique unique (slug);
alter table memberships add primary key (org_id, user_id);
alter table memberships add constraint memberships_org foreign key (org_id) references orgs (id);
alter table memberships add foreign key (user_id) references "Members" (id);
alter table countries add primary key (code);
alter table rooms add primary key (org_id, no);
alter table rooms add foreign key (org_id) references orgs (id);
alter table rooms add foreign key (country) references countries (code);
alter table rooms add foreign key (org_id, parent) references rooms (org_id, no);
alter table posts add primary key (id);
alter table posts add foreign key (org_id, author_id) references memberships (org_id, user_id);
alter table posts add foreign key (room_org, room_no) references rooms (org_id, no);
alter table posts add check (created <= updated and (deleted is null or updated <= deleted));
alter table posts add check (body <> 'a;b'), add check (room_org = org_id);
create index posts_facts on posts using gin (facts);
create unique index on memberships (user_id, org_id) where role <> 'reader'; -- partial
alter table billing.lines add primary key (post_id, line);
alter table billing.lines add foreign key (post_id) references posts (id);
alter table comments add primary key (id);
alter table comments add foreign key (post_id) references posts (id);
alter table comments add foreign key (by_whom) references "Members" (id);
create function nothing() returns trigger language plpgsql as $$ begin return new; end; $$;
create trigger nothing before update on posts for each row execute function nothing();
