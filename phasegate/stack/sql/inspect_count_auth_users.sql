-- Registered users, exactly; under a statement time-out.
select count(*) from auth.users
