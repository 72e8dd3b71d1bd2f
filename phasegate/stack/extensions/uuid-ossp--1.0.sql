-- UUIDs by uuid-ossp's names. Versions 1 and 4 are random; version 5 hashes with SHA-256 where the
-- original has SHA-1, so it gives the same for the same name, and another value than the original.
create function uuid_nil() returns uuid immutable strict parallel safe language sql
    as $$ select '00000000-0000-0000-0000-000000000000'::uuid $$;
create function uuid_ns_dns() returns uuid immutable strict parallel safe language sql
    as $$ select '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_url() returns uuid immutable strict parallel safe language sql
    as $$ select '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_oid() returns uuid immutable strict parallel safe language sql
    as $$ select '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_ns_x500() returns uuid immutable strict parallel safe language sql
    as $$ select '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid $$;
create function uuid_generate_v1() returns uuid volatile parallel safe language sql
    as $$ select gen_random_uuid() $$;
create function uuid_generate_v1mc() returns uuid volatile parallel safe language sql
    as $$ select gen_random_uuid() $$;
create function uuid_generate_v4() returns uuid volatile parallel safe language sql
    as $$ select gen_random_uuid() $$;
create function uuid_generate_v3(namespace uuid, name text) returns uuid
    immutable strict parallel safe language sql
    as $$ select overlay(overlay(md5(uuid_send(namespace) || convert_to(name, 'UTF8'))
        placing '3' from 13) placing '8' from 17)::uuid $$;
create function uuid_generate_v5(namespace uuid, name text) returns uuid
    immutable strict parallel safe language sql
    as $$ select overlay(overlay(left(encode(
        sha256(uuid_send(namespace) || convert_to(name, 'UTF8')), 'hex'), 32)
        placing '5' from 13) placing '8' from 17)::uuid $$;
