-- Undo: the table of before is the table again. Rows that came into the months since are moved back
-- under a lock, so readers and writers of the log wait for as long as that takes: the sooner the
-- shorter. (@keys@) must be unique again; where it is not, nothing is changed.
set lock_timeout = '5s';
drop index concurrently if exists @schema@.@table@_before_key;
create unique index concurrently @table@_before_key on @schema@.@table@_before (@keys@);
do $$
declare
    key name;
begin
    lock table @schema@.@table@ in access exclusive mode;
    select conname into strict key
    from pg_catalog.pg_constraint
    where conrelid = '@schema@.@table@'::regclass and contype = 'p';
    alter table @schema@.@table@ detach partition @schema@.@table@_before;
    insert into @schema@.@table@_before (@columns@) select @columns@ from @schema@.@table@;
    drop table @schema@.@table@;
    execute format(
        'alter table @schema@.@table@_before drop constraint @table@_before_pkey,'
        ' add constraint %I primary key using index @table@_before_key',
        key
    );
    alter table @schema@.@table@_before rename to @table@;
end
$$;
reset lock_timeout;
