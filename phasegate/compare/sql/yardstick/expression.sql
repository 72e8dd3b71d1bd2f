-- Yardstick: reads claims from a setting for each of 1,500 rows, as a policy with a bare call does.
select count(*) from pg_temp.phasegate_yardstick
where id <= 1500
    and owner <> (nullif(current_setting('phasegate.claims', true), '')::jsonb ->> 'sub')::uuid;
