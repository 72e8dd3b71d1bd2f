-- Nobody looks after the partitions any more; those that are there stay.
drop table if exists phasegate_stack.partition_policy;
