-- Keys, and the indexes that the helpdesk was shipped with: stack level 1.

alter table agents        add primary key (id), add unique (account_id);
alter table organisations add primary key (id);
alter table memberships   add primary key (organisation_id, agent_id);
alter table tickets       add primary key (id);
alter table comments      add primary key (id);

alter table memberships
    add foreign key (organisation_id) references organisations (id) on delete cascade,
    add foreign key (agent_id)        references agents (id) on delete cascade;
alter table tickets
    add foreign key (organisation_id) references organisations (id) on delete cascade;
alter table comments
    add foreign key (ticket_id) references tickets (id) on delete cascade,
    add foreign key (author_id) references agents (id) on delete set null;

create index memberships_agent on memberships (agent_id);
create index comments_ticket   on comments (ticket_id, id);
-- Answers `fields @> …` alone: smaller than the default class, which also answers `?`.
create index tickets_fields    on tickets using gin (fields jsonb_path_ops);
