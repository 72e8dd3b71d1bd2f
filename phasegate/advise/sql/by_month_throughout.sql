-- On a copy of ours all rows go into months, as they lie once months have passed since the migration.
-- @table@_before keeps them too, so that the undo need not move them.
do $$
declare
    bound timestamptz;
    found record;
begin
    select (regexp_match(pg_get_expr(relpartbound, oid), $re$TO \('([^']+)'\)$re$))[1]::timestamptz
    into strict bound
    from pg_catalog.pg_class where oid = '@schema@.@table@_before'::regclass;
    alter table @schema@.@table@ detach partition @schema@.@table@_before;
    for found in
        select
            to_char(begins, '"@table@_p"YYYY"_"MM')           as name,
            begins at time zone 'utc'                              as month,
            (begins + interval '1 month') at time zone 'utc'       as month_end
        from generate_series(
            (
                select date_trunc('month', min(@column@) at time zone 'utc')
                from @schema@.@table@_before
            ),
            (bound at time zone 'utc') - interval '1 month',
            interval '1 month'
        ) as months (begins)
    loop
        execute format(
            'create table @schema@.%I partition of @schema@.@table@'
            ' for values from (%L) to (%L)',
            found.name, found.month, found.month_end
        );
    end loop;
    insert into @schema@.@table@ (@columns@)
    select @columns@ from @schema@.@table@_before order by @column@;
    if (
        select relrowsecurity from pg_catalog.pg_class
        where oid = '@schema@.@table@_before'::regclass
    ) then
        for found in select relid from pg_partition_tree('@schema@.@table@') loop
            execute format('alter table %s enable row level security', found.relid);
        end loop;
    end if;
end
$$;
analyze @schema@.@table@;
