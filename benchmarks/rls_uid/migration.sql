-- (select auth.uid()) instead of auth.uid() in policies: asked once for a statement, not once for a
-- row. Every policy in `public` that calls auth.uid(), auth.role() or auth.jwt() bare is altered;
-- what it said before is kept in private.policies_before, for the undo.
-- Safe on a live table: a change of the catalogue alone, and the policies mean the same. It waits at
-- most five seconds for each lock and then gives up, with nothing changed; run it again.
set lock_timeout = '5s';
create schema if not exists private;
revoke all on schema private from public, anon, authenticated, service_role;
create table if not exists private.policies_before (
    relation   regclass,
    policy     name,
    qual       text,
    with_check text,
    primary key (relation, policy)
);
-- Rows that say what could be undone by whoever reads them are nobody's but the owner's.
alter table private.policies_before enable row level security;
do $$
declare
    -- Not behind SELECT: that one is wrapped already.
    bare constant text := '(?<!SELECT )(auth\.(?:uid|role|jwt)\(\))';
    found record;
begin
    for found in
        select
            p.polrelid::regclass                         as relation,
            p.polname                                    as policy,
            pg_get_expr(p.polqual, p.polrelid)           as qual,
            pg_get_expr(p.polwithcheck, p.polrelid)      as with_check
        from pg_catalog.pg_policy as p
        join pg_catalog.pg_class as c on c.oid = p.polrelid
        where c.relnamespace = 'public'::regnamespace
    loop
        continue when not coalesce(found.qual ~ bare, false)
            and not coalesce(found.with_check ~ bare, false);
        insert into private.policies_before
        values (found.relation, found.policy, found.qual, found.with_check)
        on conflict do nothing;
        execute format('alter policy %I on %s', found.policy, found.relation)
            || coalesce(
                format(' using (%s)', regexp_replace(found.qual, bare, '(select \1)', 'g')), ''
            )
            || coalesce(
                format(
                    ' with check (%s)', regexp_replace(found.with_check, bare, '(select \1)', 'g')
                ), ''
            );
    end loop;
end
$$;
reset lock_timeout;
