-- Parameters: key, users, seed, first month, number of months.
insert into phasegate.dataset (state, key, users, seed, first_month, months)
values ('loading', $1, $2, $3, $4, $5)
on conflict (only_row) do update
set state = excluded.state,
    key = excluded.key,
    users = excluded.users,
    seed = excluded.seed,
    first_month = excluded.first_month,
    months = excluded.months,
    sha256 = null,
    record = null,
    changed_at = now();
