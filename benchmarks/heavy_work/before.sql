-- … and done on the spot, while the user waits.
select private.finish_job('process-heavy-task', $1)
