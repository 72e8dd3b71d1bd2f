-- Whether new tasks get keys in order of time.
select coalesce(
    (
        select pg_get_expr(adbin, adrelid) ~ 'uuid_?v7'
        from pg_catalog.pg_attrdef
        join pg_catalog.pg_attribute on attrelid = adrelid and attnum = adnum
        where adrelid = to_regclass('public.tasks') and attname = 'id'
    ),
    false
)
