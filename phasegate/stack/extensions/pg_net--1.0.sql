-- pg_net's names; nothing is ever sent.
create schema if not exists net;
create function net.http_get(url text, params jsonb default '{}', headers jsonb default '{}',
    timeout_milliseconds integer default 5000) returns bigint language sql as $$ select 0::bigint $$;
create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}',
    headers jsonb default '{}', timeout_milliseconds integer default 5000) returns bigint
    language sql as $$ select 0::bigint $$;
create function net.http_delete(url text, params jsonb default '{}', headers jsonb default '{}',
    timeout_milliseconds integer default 5000, body jsonb default null) returns bigint
    language sql as $$ select 0::bigint $$;
create table net.http_request_queue (id bigint, method text, url text, headers jsonb, body bytea,
    timeout_milliseconds integer);
create table net._http_response (id bigint, status_code integer, content_type text, headers jsonb,
    content text, timed_out boolean, error_msg text, created timestamptz);
