-- Whether the seeder's marker notes a whole data set, and the tables $1 that are there now are the very
-- ones: others of the same names may be somebody else's. Needs is_marked.sql to have said yes.
select coalesce(
    bool_and(
        d.state = 'complete'
        and cardinality($1::text[]) = (
            select count(*)
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where c.oid = any(d.tables)
                and case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname
                    = any($1::text[])
        )
    ),
    false
)
from phasegate.dataset as d;
