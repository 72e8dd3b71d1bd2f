-- Names of pgmq; no message is kept.
create function "create"(queue_name text) returns void language sql as $$ $$;
create function create_unlogged(queue_name text) returns void language sql as $$ $$;
create function drop_queue(queue_name text) returns boolean language sql as $$ select true $$;
create function send(queue_name text, msg jsonb, delay integer default 0) returns setof bigint
    language sql as $$ select 0::bigint $$;
create type message_record as (msg_id bigint, read_ct integer, enqueued_at timestamptz,
    vt timestamptz, message jsonb);
create function read(queue_name text, vt integer, qty integer) returns setof message_record
    language sql as $$ select null::message_record where false $$;
create function pop(queue_name text) returns setof message_record
    language sql as $$ select null::message_record where false $$;
create function delete(queue_name text, msg_id bigint) returns boolean language sql
    as $$ select true $$;
create function archive(queue_name text, msg_id bigint) returns boolean language sql
    as $$ select true $$;
