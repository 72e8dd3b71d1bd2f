-- Record by oid what the seeder created: relations $1, routines $2, types $3, schemas $4. A later table
-- of the same name has another one.
update phasegate.dataset
set tables = $1::oid[], routines = $2::oid[], types = $3::oid[], schemas = $4::oid[];
