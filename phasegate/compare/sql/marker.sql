-- The seeder's marker of a whole data set, and the server it lies on.
select users, seed, sha256, current_setting('server_version')
from phasegate.dataset
where state = 'complete'
