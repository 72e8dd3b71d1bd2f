-- pgcrypto's names. Nothing is encrypted here: "encrypted" values are the values themselves, since no
-- value of a copy is anybody's. SHA-1 is SHA-256 cut to its length; passwords hash once.
create function gen_random_bytes(integer) returns bytea volatile strict parallel safe language sql
    as $$ select substring(decode(string_agg(replace(gen_random_uuid()::text, '-', ''), ''), 'hex')
        from 1 for $1) from generate_series(1, $1 / 16 + 1) $$;
create function digest(bytea, text) returns bytea immutable strict parallel safe language sql
    as $$ select case lower($2)
        when 'md5' then decode(md5($1), 'hex')
        when 'sha1' then substring(sha256($1) from 1 for 20)
        when 'sha224' then sha224($1)
        when 'sha384' then sha384($1)
        when 'sha512' then sha512($1)
        else sha256($1) end $$;
create function digest(text, text) returns bytea immutable strict parallel safe language sql
    as $$ select digest(convert_to($1, 'UTF8'), $2) $$;
create function hmac(bytea, bytea, text) returns bytea immutable strict parallel safe language sql
    as $$ select digest($2 || digest($2 || $1, $3), $3) $$;
create function hmac(text, text, text) returns bytea immutable strict parallel safe language sql
    as $$ select hmac(convert_to($1, 'UTF8'), convert_to($2, 'UTF8'), $3) $$;
create function gen_salt(text) returns text volatile strict parallel safe language sql
    as $$ select '$2a$06$' || left(replace(gen_random_uuid()::text, '-', ''), 22) $$;
create function gen_salt(text, integer) returns text volatile strict parallel safe language sql
    as $$ select gen_salt($1) $$;
create function crypt(text, text) returns text immutable strict parallel safe language sql
    as $$ select left($2, 29) || left(encode(sha256(convert_to(left($2, 29) || $1, 'UTF8')), 'hex'), 31) $$;
create function encrypt(bytea, bytea, text) returns bytea immutable strict parallel safe
    language sql as $$ select $1 $$;
create function decrypt(bytea, bytea, text) returns bytea immutable strict parallel safe
    language sql as $$ select $1 $$;
create function encrypt_iv(bytea, bytea, bytea, text) returns bytea immutable strict parallel safe
    language sql as $$ select $1 $$;
create function decrypt_iv(bytea, bytea, bytea, text) returns bytea immutable strict parallel safe
    language sql as $$ select $1 $$;
create function pgp_sym_encrypt(text, text) returns bytea volatile strict parallel safe
    language sql as $$ select convert_to($1, 'UTF8') $$;
create function pgp_sym_encrypt(text, text, text) returns bytea volatile strict parallel safe
    language sql as $$ select convert_to($1, 'UTF8') $$;
create function pgp_sym_encrypt_bytea(bytea, text) returns bytea volatile strict parallel safe
    language sql as $$ select $1 $$;
create function pgp_sym_decrypt(bytea, text) returns text immutable strict parallel safe
    language sql as $$ select convert_from($1, 'UTF8') $$;
create function pgp_sym_decrypt(bytea, text, text) returns text immutable strict parallel safe
    language sql as $$ select convert_from($1, 'UTF8') $$;
create function pgp_sym_decrypt_bytea(bytea, text) returns bytea immutable strict parallel safe
    language sql as $$ select $1 $$;
create function armor(bytea) returns text immutable strict parallel safe
    language sql as $$ select encode($1, 'base64') $$;
create function dearmor(text) returns bytea immutable strict parallel safe
    language sql as $$ select decode($1, 'base64') $$;
