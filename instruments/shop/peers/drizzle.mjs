// drizzle-seed fills the tables of schema.mjs, so many rows each; prints the seconds that took.
import { drizzle } from "drizzle-orm/node-postgres";
import { seed } from "drizzle-seed";
import pg from "pg";
import * as schema from "./schema.mjs";

const rows = Number(process.argv[2]);
const { state, ...tables } = schema;
const pool = new pg.Pool();
const codes = Array.from({ length: rows }, (_, n) => n.toString(36).padStart(3, "0"));
const started = process.hrtime.bigint();
// It knows no lengths, checks or partial indexes: what they ask for is given.
await seed(drizzle(pool), tables, { count: rows, seed: 1 }).refine((f) => ({
  countries: { columns: { code: f.valuesFromArray({ values: codes, isUnique: true }) } },
  products: {
    columns: {
      sku: f.valuesFromArray({ values: codes, isUnique: true }),
      price: f.number({ minValue: 1, maxValue: 1000, precision: 100 }),
    },
  },
  addresses: { columns: { is_default: f.default({ defaultValue: false }) } },
  labels: { columns: { color: f.valuesFromArray({ values: ["#ffffff", "#000000"] }) } },
}));
console.log(Number(process.hrtime.bigint() - started) / 1e9);
await pool.end();
