-- pgjwt's names; no token that these make is valid anywhere.
create function url_encode(data bytea) returns text immutable language sql
    as $$ select translate(encode(data, 'base64'), E'+/=\n', '-_') $$;
create function url_decode(data text) returns bytea immutable language sql
    as $$ select decode(rpad(translate(data, '-_', '+/'), (length(data) + 3) / 4 * 4, '='), 'base64') $$;
create function algorithm_sign(signables text, secret text, algorithm text) returns text
    immutable language sql as $$ select 'unsigned' $$;
create function sign(payload json, secret text, algorithm text default 'HS256') returns text
    immutable language sql as $$ select 'unsigned' $$;
create function verify(token text, secret text, algorithm text default 'HS256')
    returns table (header json, payload json, valid boolean) immutable language sql
    as $$ select '{}'::json, '{}'::json, false $$;
