-- Whether tables' partitions are looked after.
select to_regclass('phasegate_stack.partition_policy') is not null
