-- Parameters: key, sha256, record. No row comes back where another seeder took the place meanwhile.
update phasegate.dataset
set state = 'complete', sha256 = $2, record = $3, changed_at = now()
where key = $1 and state = 'loading'
returning key;
