-- No scheduled refreshes any more; what was filled stays as it is.
drop function if exists private.refresh_view(text);
drop table if exists private.refreshes;
