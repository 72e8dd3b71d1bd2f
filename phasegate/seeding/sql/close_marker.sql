-- The marker just made is its owner's alone, whatever the database's default privileges.
do $$
declare
    grantee text;
begin
    for grantee in
        select distinct case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
        from pg_catalog.pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        where c.oid = 'phasegate.dataset'::regclass and a.grantee <> c.relowner
    loop
        execute format('revoke all on phasegate.dataset from %s', grantee);
    end loop;
end
$$;
