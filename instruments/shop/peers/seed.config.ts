import { SeedPg } from "@snaplet/seed/adapter-pg";
import { defineConfig } from "@snaplet/seed/config";
import pg from "pg";
// Which database: that of the environment (PGHOST and the like).
export default defineConfig({
  adapter: async () => { const client = new pg.Client(); await client.connect(); return new SeedPg(client); },
  select: ["!phasegate.*"],
});
