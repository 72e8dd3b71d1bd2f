-- Hand every table of phasegate_stack.partition_policy that pg_partman 5 does not manage yet over to it.
-- Needs partitions.sql; partitions_partman.sql comes after. Version 5 takes the DEFAULT partition
-- as it is, has one way to partition (`range`), and names intervals as PostgreSQL does.

create schema if not exists partman;
create extension if not exists pg_partman schema partman;

do $adopt$
declare
    policy phasegate_stack.partition_policy;
    child record;
    start timestamptz;
begin
    set local timezone = 'UTC';
    for policy in
        select p.* from phasegate_stack.partition_policy as p
        where not exists (select from partman.part_config as c where c.parent_table = p.parent)
    loop
        -- It finds the months in the catalogue, but tells by name whether one is there already.
        for child in
            select c.relname || to_char(p.month, '"_p"YYYYMMDD') as name, p.partition
            from phasegate_stack.partitions_of(policy.parent::regclass) as p
            join pg_class as c on c.oid = policy.parent::regclass
            where not p.is_default
        loop
            if child.partition::text not like '%' || child.name then
                execute format('alter table %s rename to %I', child.partition, child.name);
            end if;
        end loop;

        start := coalesce(
            (select min(p.month) from phasegate_stack.partitions_of(policy.parent::regclass) as p),
            date_trunc('month', now())
        );
        perform partman.create_parent(
            p_parent_table := policy.parent,
            p_control := (
                select a.attname::text
                from pg_partitioned_table as t
                join pg_attribute as a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]
                where t.partrelid = policy.parent::regclass
            ),
            p_interval := '1 month',
            p_premake := policy.ahead_months,
            p_start_partition := start::text,
            p_default_table := not exists (
                select from phasegate_stack.partitions_of(policy.parent::regclass) as p where p.is_default
            ),
            p_jobmon := false
        );
    end loop;
end
$adopt$;
