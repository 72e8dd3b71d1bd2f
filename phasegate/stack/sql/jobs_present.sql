-- Whether jobs can be accepted here, and are done later.
select to_regclass('phasegate_stack.queued_jobs') is not null
