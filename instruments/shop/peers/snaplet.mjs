// @snaplet/seed makes users with what they own; prints the seconds that took.
import { createSeedClient } from "@snaplet/seed";

const rows = Number(process.argv[2]);
const seed = await createSeedClient();
const started = process.hrtime.bigint();
await seed.users((x) => x(rows, { notifications: (y) => y(5), devices: (y) => y(2) }));
console.log(Number(process.hrtime.bigint() - started) / 1e9);
process.exit(0);
