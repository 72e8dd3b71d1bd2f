-- Whether no index of the table $1 (quoted name) leads with the column $2; keys count as indexes.
select not exists (
    select
    from pg_catalog.pg_index as i
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = to_regclass($1) and a.attname = $2 and i.indpred is null
);
