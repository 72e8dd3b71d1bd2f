-- Whether the function that the policies then ask is there.
select to_regprocedure('private.my_organisations()') is not null
