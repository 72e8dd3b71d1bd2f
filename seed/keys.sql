-- Primary and foreign keys: stack level 1, "as shipped". No other index.

alter table profiles add primary key (id);
alter table projects add primary key (id);
alter table tasks    add primary key (id);
alter table activity_logs             add primary key (id);
alter table activity_logs_partitioned add primary key (id, created_at);

alter table tasks    alter column id set default gen_random_uuid();
alter table projects alter column id set default gen_random_uuid();

alter table projects add foreign key (user_id) references profiles (id) on delete cascade;
alter table tasks    add foreign key (user_id) references profiles (id) on delete cascade;
-- PostgREST embeds projects into tasks by this key.
alter table tasks    add constraint tasks_project_id_fkey
    foreign key (project_id) references projects (id) on delete set null;
alter table activity_logs             add foreign key (user_id) references profiles (id);
alter table activity_logs_partitioned add foreign key (user_id) references profiles (id);
