-- What every Supabase project brings along and an empty PostgreSQL lacks: the four API roles with
-- their time-outs, and schema auth with the functions that row-level security asks.
--
-- Idempotent. Safe when several databases of one cluster run it at once: roles belong to the
-- cluster, so whoever finds one missing takes a cluster-wide lock before making it. On a hosted
-- project everything exists already, and nothing is touched.

-- One run at a time in this database: two `create or replace` at once fail.
select pg_advisory_xact_lock(hashtextextended('phasegate/supabase.sql', 0));

do $roles$
declare
    -- Supabase's own: https://supabase.com/docs/guides/database/postgres/timeouts
    settings constant jsonb := '{
        "anon":          "statement_timeout=3s",
        "authenticated": "statement_timeout=8s",
        "authenticator": "statement_timeout=8s",
        "service_role":  null}';
    name text;
    setting text;
begin
    if not exists (
        select from jsonb_object_keys(settings) as wanted where to_regrole(wanted) is null
    ) then
        return;
    end if;
    -- A shared catalogue: this lock holds across the databases of the cluster.
    lock table pg_catalog.pg_authid in share row exclusive mode;

    for name, setting in select * from jsonb_each_text(settings) loop
        if not exists (select from pg_authid where rolname = name) then
            execute format('create role %I noinherit', name);
            if setting is not null then
                execute format(
                    'alter role %I set %I = %L',
                    name, split_part(setting, '=', 1), split_part(setting, '=', 2)
                );
            end if;
        end if;
    end loop;

    alter role service_role bypassrls;
    -- PostgREST logs in as this one, which may do nothing but become one of the other three.
    alter role authenticator login;
    grant anon, authenticated, service_role to authenticator;
end
$roles$;

do $auth$
begin
    if to_regprocedure('auth.uid()') is not null and to_regprocedure('auth.jwt()') is not null then
        return;
    end if;

    create schema if not exists auth;
    grant usage on schema auth to anon, authenticated, service_role;

    -- Claims of the request's token; null outside a request.
    create or replace function auth.jwt() returns jsonb language sql stable as $$
        select nullif(current_setting('request.jwt.claims', true), '')::jsonb
    $$;

    -- The user who asks: their key in the table of registered users.
    create or replace function auth.uid() returns uuid language sql stable as $$
        select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
    $$;

    create or replace function auth.role() returns text language sql stable as $$
        select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    $$;
end
$auth$;

do $email$
begin
    if to_regprocedure('auth.email()') is null then
        create function auth.email() returns text language sql stable as $$
            select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
        $$;
    end if;
end
$email$;
