-- Registered users, exactly, where the application keeps them itself; under a statement time-out.
select count(*) from public.profiles
