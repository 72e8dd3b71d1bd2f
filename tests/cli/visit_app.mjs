// A small page with supabase-js in headless Chromium, clicked through and recorded as a HAR.
//
//   node visit_app.mjs OPTIONS    (a JSON text: modules, chromium, api, key, email, password, har)
//
// Reads the modules that npm put into a folder; writes the HAR. Its page comes from an origin of its
// own, so that the recording has other hosts, static files and the API, as an app's has.
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const options = JSON.parse(process.argv[2])
const require = createRequire(options.modules + '/')
const { chromium } = require('playwright-core')
const library = require.resolve('@supabase/supabase-js').replace(/dist\/.*$/, 'dist/umd/supabase.js')

const PAGE = `<!doctype html><title>app</title><link rel="icon" href="data:,">
<script src="/supabase.js"></script>
<script>
  const db = supabase.createClient(${JSON.stringify(options.api)}, ${JSON.stringify(options.key)})
  let me, rows, made
  const done = ({ data, error }) => { if (error) throw new Error(error.message); return data }
  const clicks = {
    async signIn() {
      const signed = done(await db.auth.signInWithPassword(
        { email: ${JSON.stringify(options.email)}, password: ${JSON.stringify(options.password)} }))
      me = signed.user.id
    },
    // The planted N+1: each row of the list is asked for again by itself.
    async openList() {
      rows = done(await db.from('tasks').select('id,title,project_id,created_at').eq('user_id', me)
        .order('created_at', { ascending: false }).limit(5))
      await Promise.all(rows.map(async (row) =>
        done(await db.from('tasks').select('id,status,completed_at').eq('id', row.id).single())))
    },
    async openOne() {
      done(await db.from('tasks').select('*,projects(name,color)').eq('id', rows[2].id))
    },
    async older() {
      done(await db.from('tasks').select('id,title').eq('user_id', me)
        .lt('created_at', rows[rows.length - 1].created_at).limit(5))
    },
    async stats() { done(await db.rpc('user_stats')) },
    async create() {
      made = done(await db.from('tasks').insert(
        { user_id: me, title: 'Call Dr. Winterbottom back, mail winter@bottom.example' })
        .select('id').single())
    },
    async complete() {
      done(await db.from('tasks').update(
        { status: 'done', completed_at: new Date().toISOString() }).eq('id', made.id).select('id'))
    },
    async remove() { done(await db.from('tasks').delete().eq('id', made.id).select('id')) },
  }
</script>`

const server = createServer((request, response) => {
  const isLibrary = request.url === '/supabase.js'
  response.setHeader('content-type', isLibrary ? 'text/javascript' : 'text/html')
  response.end(isLibrary ? readFileSync(library) : PAGE)
}).listen(0, '127.0.0.1')
await new Promise((resolve) => server.once('listening', resolve))

const browser = await chromium.launch({
  executablePath: options.chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-web-security'],
})
try {
  const context = await browser.newContext({ recordHar: { path: options.har, content: 'embed' } })
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${server.address().port}/`)
  for (const click of options.clicks) {
    await page.evaluate((name) => clicks[name](), click)
    await page.waitForTimeout(options.think_ms)
  }
  await context.close() // writes the HAR
} finally {
  await browser.close()
  server.close()
}
