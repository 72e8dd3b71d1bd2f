-- Undo: every policy that the migration altered says again what it said before.
set lock_timeout = '5s';
do $$
declare
    found record;
begin
    if to_regclass('private.policies_before') is null then
        return;
    end if;
    for found in
        select b.relation, b.policy, b.qual, b.with_check
        from private.policies_before as b
        join pg_catalog.pg_policy as p on p.polrelid = b.relation and p.polname = b.policy
    loop
        execute format('alter policy %I on %s', found.policy, found.relation)
            || coalesce(format(' using (%s)', found.qual), '')
            || coalesce(format(' with check (%s)', found.with_check), '');
    end loop;
    drop table private.policies_before;
end
$$;
reset lock_timeout;
