-- Whether refreshes are scheduled here.
select to_regclass('phasegate_stack.refreshes') is not null
