-- Hand every table of phasegate_stack.partition_policy that pg_partman 4 does not manage yet over to it.
-- Needs partitions.sql; partitions_partman.sql comes after.

create schema if not exists partman;
create extension if not exists pg_partman schema partman;

do $adopt$
declare
    policy phasegate_stack.partition_policy;
    child record;
    spare regclass;
    start timestamptz;
begin
    set local timezone = 'UTC';
    for policy in
        select p.* from phasegate_stack.partition_policy as p
        where not exists (select from partman.part_config as c where c.parent_table = p.parent)
    loop
        -- It reads the month from a partition's name.
        for child in
            select c.relname,
                   to_char(p.month, '"_p"YYYY"_"MM') as suffix, p.partition
            from phasegate_stack.partitions_of(policy.parent::regclass) as p
            join pg_class as c on c.oid = policy.parent::regclass
            where not p.is_default
        loop
            if child.partition::text not like '%' || child.suffix then
                execute format(
                    'alter table %s rename to %I', child.partition, child.relname || child.suffix
                );
            end if;
        end loop;

        -- It insists on a DEFAULT partition of its own making: rows of the old one go in after.
        select p.partition into spare
        from phasegate_stack.partitions_of(policy.parent::regclass) as p where p.is_default;
        if spare is not null then
            execute format('alter table %s detach partition %s', policy.parent, spare);
            execute format('alter table %s set schema phasegate_stack', spare);
            execute format('alter table %s rename to spare_rows', spare);
        end if;

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
            p_type := 'native',
            p_interval := 'monthly',
            p_premake := policy.ahead_months,
            p_start_partition := start::text,
            p_jobmon := false
        );
        if spare is not null then
            execute format('insert into %s select * from phasegate_stack.spare_rows', policy.parent);
            drop table phasegate_stack.spare_rows;
        end if;
    end loop;
end
$adopt$;
