-- No scheduled refreshes any more; what was filled stays as it is.
drop function if exists phasegate_stack.refresh_view(text);
drop table if exists phasegate_stack.refreshes;
