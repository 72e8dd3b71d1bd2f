-- Undo on a copy of ours: @table@_before, which kept all rows, is the table again.
do $$
declare
    key name;
begin
    select conname into strict key
    from pg_catalog.pg_constraint
    where conrelid = '@schema@.@table@'::regclass and contype = 'p';
    drop table @schema@.@table@;
    execute format(
        'alter table @schema@.@table@_before drop constraint @table@_before_pkey,'
        ' add constraint %I primary key (@keys@)',
        key
    );
    alter table @schema@.@table@_before rename to @table@;
end
$$;
