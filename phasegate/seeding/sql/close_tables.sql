-- No row of these tables is for anybody but their owner until a policy says so: row-level security on,
-- no policy, and no grant, whatever the database's default privileges (a Supabase project's give anon, the role
-- behind the public key, everything). In the transaction that makes them, so they are never open.
-- The marker keeps the grants that it was given since: it is made once, the tables with each load.
do $$
declare
    relation regclass;
    grantee  text;
    policy   name;
begin
    for relation in
        select c.oid
        from pg_catalog.pg_class as c, phasegate.dataset as d
        where c.oid = any(d.tables) and c.relkind in ('r', 'p')
    loop
        execute format('alter table %s enable row level security', relation);
    end loop;

    for relation, policy in
        select p.polrelid::regclass, p.polname
        from pg_catalog.pg_policy as p, phasegate.dataset as d
        where p.polrelid = any(d.tables)
    loop
        execute format('drop policy %I on %s', policy, relation);
    end loop;

    for relation, grantee in
        select distinct
            c.oid::regclass,
            case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
        from pg_catalog.pg_class as c
        cross join phasegate.dataset as d
        cross join lateral aclexplode(c.relacl) as a
        where c.oid = any(d.tables) and a.grantee <> c.relowner
    loop
        execute format('revoke all on %s from %s', relation, grantee);
    end loop;
end
$$;
