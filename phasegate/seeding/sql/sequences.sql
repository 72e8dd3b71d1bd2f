-- Sequences of identity and serial columns of the tables $1 (quoted names), each brought to the
-- largest number that was loaded: the next row then takes the next one. Statements to run.
select
    format(
        'select setval(%L, greatest((select max(%I) from %s), 1))',
        pg_get_serial_sequence(c.oid::regclass::text, a.attname), a.attname, c.oid::regclass
    ) as statement
from unnest($1::text[]) as wanted (name)
join pg_catalog.pg_class as c on c.oid = to_regclass(wanted.name)
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where pg_get_serial_sequence(c.oid::regclass::text, a.attname) is not null;
