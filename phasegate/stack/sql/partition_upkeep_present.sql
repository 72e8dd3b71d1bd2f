-- Whether tables' partitions are looked after.
select to_regclass('private.partition_policy') is not null
