-- An empty database as a hosted Supabase project has it, for the tests: the API's roles (supabase.sql
-- has run before), default privileges that give them everything on whatever is made in `public`, and
-- an owner `project_owner` that may do a lot, and is no superuser: the project's own `postgres`.
-- After supabase/postgres, migrations/db/init-scripts/00000000000000-initial-schema.sql and
-- migrations/db/migrations/*_demote-postgres.sql.
grant anon, authenticated, service_role, authenticator to project_owner with admin option;
alter schema public owner to pg_database_owner;
revoke create on schema public from public;
grant usage on schema public to project_owner, anon, authenticated, service_role;
alter default privileges for role project_owner in schema public
    grant all on tables to anon, authenticated, service_role;
alter default privileges for role project_owner in schema public
    grant all on functions to anon, authenticated, service_role;
alter default privileges for role project_owner in schema public
    grant all on sequences to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
