-- Record by oid what the seeder created beside the tables, after them: relations $1, routines $2,
-- types $3, schemas $4.
update phasegate.dataset
set tables = tables || $1::oid[],
    routines = routines || $2::oid[],
    types = types || $3::oid[],
    schemas = schemas || $4::oid[];
