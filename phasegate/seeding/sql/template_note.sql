-- What was noted on a template database when it was whole. Parameter: its name.
select shobj_description(oid, 'pg_database') from pg_catalog.pg_database where datname = $1;
