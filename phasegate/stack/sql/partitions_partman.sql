-- Maintenance by pg_partman, 4 or 5. Needs partitions.sql and partitions_partman_<version>.sql. What
-- pg_partman cannot do stays with our functions: emptying DEFAULT of just the months that are kept,
-- and row-level security on the partitions it makes.

update phasegate_stack.partition_policy
set keeper = 'pg_partman ' || (select extversion from pg_extension where extname = 'pg_partman');

create or replace function phasegate_stack.maintain_partitions()
returns table (parent text, made integer, dropped integer, moved bigint)
language plpgsql
set search_path = ''
set timezone = 'UTC'
as $$
declare
    policy phasegate_stack.partition_policy;
    target regclass;
    child regclass;
    before regclass[];
begin
    if not pg_try_advisory_xact_lock(hashtext('phasegate.maintain_partitions')) then
        return;
    end if;
    for policy in select * from phasegate_stack.partition_policy loop
        target := policy.parent::regclass;
        before := array(select p.partition from phasegate_stack.partitions_of(target) as p);
        moved := phasegate_stack.drain_default(
            target,
            date_trunc('month', now() - make_interval(months => policy.keep_months)),
            date_trunc('month', now()) + make_interval(months => policy.ahead_months + 1)
        );
        update partman.part_config as c
        set premake = policy.ahead_months,
            retention = policy.keep_months || ' months',
            retention_keep_table = false,     -- its default detaches and frees no disk
            infinite_time_partitions = true,  -- make ahead of today, not of the newest row
            ignore_default_data = true        -- a row of the year 2099 must not make 900 partitions
        where c.parent_table = policy.parent;
        perform partman.run_maintenance(policy.parent, p_analyze := false, p_jobmon := false);

        for child in
            select p.partition from phasegate_stack.partitions_of(target) as p
            join pg_catalog.pg_class as c on c.oid = p.partition
            where not c.relrowsecurity
        loop
            execute format('alter table %s enable row level security', child);
        end loop;
        parent := policy.parent;
        made := (select count(*) from phasegate_stack.partitions_of(target) as p
                 where p.partition <> all (before));
        dropped := (select count(*) from unnest(before) as old
                    where old not in (select p.partition from phasegate_stack.partitions_of(target) as p));
        update phasegate_stack.partition_policy as p set maintained_at = now() where p.parent = policy.parent;
        return next;
    end loop;
end
$$;
revoke all on all functions in schema phasegate_stack from public;
