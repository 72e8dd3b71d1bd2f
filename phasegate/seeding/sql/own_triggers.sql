-- Triggers of table $1 (quoted) and its partitions that would fire while rows come in: what turns each
-- off, and on again. Those of foreign keys are the server's own, and stay.
select
    format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname) as disable,
    format('alter table %s enable trigger %I', t.tgrelid::regclass, t.tgname)  as enable
from pg_catalog.pg_trigger as t
where not t.tgisinternal and t.tgenabled = 'O'
    and (
        t.tgrelid = to_regclass($1)
        or t.tgrelid in (select relid from pg_partition_tree(to_regclass($1)))
    )
order by t.tgrelid, t.tgname;
