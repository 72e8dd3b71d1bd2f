-- The role that functions log in with: no superuser, whose reserved connections it must not have, and
-- free to become the roles of the API. Its password is the setting phasegate.password of this session.
do $role$
begin
    if to_regrole('phasegate_function') is null then
        create role phasegate_function login noinherit;
    end if;
    execute format(
        'alter role phasegate_function password %L', current_setting('phasegate.password')
    );
    grant authenticated to phasegate_function;
end
$role$;
