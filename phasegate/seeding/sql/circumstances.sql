-- What decides whether the seeder may read and write here, in one row. Names are looked up in the
-- catalogues, which anybody may read: to_regclass('phasegate.dataset') fails for a role that may not
-- enter that schema. Names that go into a statement for the reader come quoted.
select
    current_setting('server_version_num')::integer             as version,
    current_setting('server_version')                          as version_text,
    current_setting('server_encoding')                         as encoding,
    pg_is_in_recovery()                                        as is_replica,
    current_setting('default_transaction_read_only')::boolean  as read_only,
    (
        select source from pg_catalog.pg_settings where name = 'default_transaction_read_only'
    )                                                          as read_only_by,
    quote_ident(current_user)                                  as role,
    quote_ident(current_database())                            as database,
    has_database_privilege(current_database(), 'create')       as may_make_schemas,
    public.oid is not null                                     as has_public,
    coalesce(has_schema_privilege(public.oid, 'create'), false) as may_make_tables,
    marker.oid is not null                                     as marked,
    quote_ident(pg_get_userbyid(marker.relowner))              as owner,
    coalesce(pg_has_role(marker.relowner, 'usage'), false)     as owns_marker,
    coalesce(
        has_schema_privilege(ours.oid, 'usage') and has_table_privilege(marker.oid, 'select'), false
    )                                                          as may_read_marker,
    -- A policy that asks auth.uid() is made by a role that may enter that schema.
    to_regrole('authenticated') is null
        or auth.oid is null
        or has_schema_privilege(auth.oid, 'usage')             as may_enter_auth
from (select) as one
left join pg_catalog.pg_namespace as public on public.nspname = 'public'
left join pg_catalog.pg_namespace as auth on auth.nspname = 'auth'
left join pg_catalog.pg_namespace as ours on ours.nspname = 'phasegate'
left join pg_catalog.pg_class as marker
    on marker.relnamespace = ours.oid and marker.relname = 'dataset';
