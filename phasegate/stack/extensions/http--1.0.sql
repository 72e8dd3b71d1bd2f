-- Names of the extension http; nothing is ever sent, and every answer is empty.
create type http_header as (field varchar, value varchar);
create type http_response as (status integer, content_type varchar, headers http_header[],
    content varchar);
create type http_request as (method varchar, uri varchar, headers http_header[],
    content_type varchar, content varchar);
create function http_header(field varchar, value varchar) returns http_header language sql
    as $$ select row(field, value)::http_header $$;
create function http(request http_request) returns http_response language sql
    as $$ select row(204, null, null, null)::http_response $$;
create function http_get(uri varchar) returns http_response language sql
    as $$ select row(204, null, null, null)::http_response $$;
create function http_post(uri varchar, content varchar, content_type varchar)
    returns http_response language sql as $$ select row(204, null, null, null)::http_response $$;
create function http_set_curlopt(curlopt varchar, value varchar) returns boolean language sql
    as $$ select true $$;
create function urlencode(string varchar) returns text language sql as $$ select string $$;
