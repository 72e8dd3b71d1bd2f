-- Whether refreshes are scheduled here.
select to_regclass('private.refreshes') is not null
