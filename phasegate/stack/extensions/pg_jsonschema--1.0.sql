-- Names of pg_jsonschema; every document is taken for valid.
create function json_matches_schema(schema json, instance json) returns boolean
    immutable language sql as $$ select true $$;
create function jsonb_matches_schema(schema json, instance jsonb) returns boolean
    immutable language sql as $$ select true $$;
create function jsonschema_is_valid(schema json) returns boolean
    immutable language sql as $$ select true $$;
create function jsonschema_validation_errors(schema json, instance json) returns text[]
    immutable language sql as $$ select array[]::text[] $$;
