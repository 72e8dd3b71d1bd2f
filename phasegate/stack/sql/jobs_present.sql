-- Whether jobs can be accepted here, and are done later.
select to_regclass('private.queued_jobs') is not null
