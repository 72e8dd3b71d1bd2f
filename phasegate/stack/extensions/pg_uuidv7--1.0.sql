-- Names of pg_uuidv7; PostgreSQL 18 has them by itself.
create function uuid_generate_v7() returns uuid volatile parallel safe language sql
    as $$ select uuidv7() $$;
