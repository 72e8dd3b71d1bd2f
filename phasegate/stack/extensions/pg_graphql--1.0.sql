-- Names of pg_graphql; every answer is empty.
create schema if not exists graphql;
create function graphql.resolve(query text, variables jsonb default '{}',
    "operationName" text default null, extensions jsonb default null) returns jsonb
    language sql as $$ select '{}'::jsonb $$;
create function graphql.rebuild_schema() returns void language sql as $$ $$;
