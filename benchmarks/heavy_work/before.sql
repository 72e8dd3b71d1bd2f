-- … and done on the spot, while the user waits.
select phasegate_stack.finish_job('process-heavy-task', $1)
