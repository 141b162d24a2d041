// S9: drives the published server with the MCP Inspector: search, quote, run, outputs, verify, over stdio and HTTP, in the
// legacy and the modern era, against a network that already runs.
//
//   LILYPAD_NETWORK_FILE, LILYPAD_KEY_FILE   the network and the key that buys
//   LILYPAD_GRANT_FILE                       the grant, for a session key
//   LILYPAD_STATE_DIR                        a folder for this run; a fresh one is made when it is not set
//   LILYPAD_MODULE, LILYPAD_INPUTS           what is run, and its inputs as JSON; the speech module when they are not set
//   LILYPAD_INSPECTOR                        an Inspector that is installed already: its launcher's index.js
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const inspectorVersion = '2.12.0'
const bundle = fileURLToPath(new URL('../dist/bundle/lilypad-mcp.js', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'lilypad-inspector-'))
const { env } = process

const needed = ['LILYPAD_NETWORK_FILE', 'LILYPAD_KEY_FILE'].filter((name) => !env[name])
if (needed.length > 0) {
  process.stderr.write(`set ${needed.join(' and ')}\n`)
  process.exit(2)
}
const moduleName = env.LILYPAD_MODULE ?? 'tts'
const inputs = env.LILYPAD_INPUTS ?? JSON.stringify({ text: 'The inspector asks, a stranger speaks.' })
const serverEnv = {
  LILYPAD_NETWORK_FILE: env.LILYPAD_NETWORK_FILE,
  LILYPAD_KEY_FILE: env.LILYPAD_KEY_FILE,
  LILYPAD_APPROVAL: 'host',
  ...(env.LILYPAD_GRANT_FILE ? { LILYPAD_GRANT_FILE: env.LILYPAD_GRANT_FILE } : {}),
}

async function installInspector() {
  if (env.LILYPAD_INSPECTOR) return env.LILYPAD_INSPECTOR
  const folder = join(scratch, 'inspector')
  const name = `@modelcontextprotocol/inspector@${inspectorVersion}`
  await run('npm', ['install', '--prefix', folder, '--no-save', '--loglevel=error', '--no-audit', '--no-fund', name], {
    timeout: 240_000,
  })
  return join(folder, 'node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js')
}

/** Ends the lane with what was expected and what came. */
function expectTrue(isTrue, what, value) {
  if (!isTrue) throw new Error(`${what}: ${JSON.stringify(value).slice(0, 2000)}`)
}

/** One call of the Inspector's command line; exits other than the expected one end the lane. */
async function inspect(inspector, target, era, args, expectedExit = 0) {
  const [{ result }] = await inspectPlainly(inspector, target, era, [...args, '--format', 'json'], expectedExit)
  return result
}

/** The same, for what prints one JSON value a line. */
async function inspectPlainly(inspector, target, era, args, expectedExit = 0) {
  const command = [inspector, '--cli', ...target, '--protocol-era', era, ...args, '-q']
  const options = {
    env: { PATH: env.PATH, HOME: scratch, MCP_INSPECTOR_SECRET_STORE: 'memory' },
    timeout: 120_000,
    maxBuffer: 32 * 1024 ** 2,
  }
  const { stdout, stderr, code } = await run(process.execPath, command, options).then(
    (done) => ({ ...done, code: 0 }),
    (error) => ({ stdout: error.stdout ?? '', stderr: error.stderr ?? String(error), code: error.code }),
  )
  expectTrue(code === expectedExit, `${era} ${args.join(' ')} ended with ${code}`, { stdout, stderr })
  return stdout.trim().startsWith('{\n')
    ? [JSON.parse(stdout)]
    : stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
}

/** The skills have the digests they claim, and four tools have a page that loads nothing. */
async function checkExtensions(inspector, target) {
  const skills = await inspectPlainly(inspector, target, 'modern', ['--method', 'skills/list', '--verify'])
  expectTrue(skills.length === 2 && skills.every(({ ok }) => ok === true), 'skills', skills)
  for (const tool of ['lilypad_quote_job', 'lilypad_run_job', 'lilypad_get_job', 'lilypad_get_outputs']) {
    const call = ['--method', 'tools/call', '--tool-name', tool, '--app-info']
    const [app] = await inspectPlainly(inspector, target, 'modern', call)
    const isClosed = app.csp?.connectDomains.length === 0 && app.csp.resourceDomains.length === 0
    expectTrue(app.hasApp === true && app.resourceUri === 'ui://lilypad/job.html' && isClosed, `page of ${tool}`, app)
  }
  process.stdout.write('skills verified, four tools have a page\n')
}

async function drive(inspector, name, target, era) {
  const startedAt = Date.now()
  const call = async (tool, toolArgs = {}, expectedExit = 0) => {
    const pairs = Object.entries(toolArgs).flatMap(([key, value]) => ['--tool-arg', `${key}=${value}`])
    const result = await inspect(
      inspector,
      target,
      era,
      ['--method', 'tools/call', '--tool-name', tool, ...pairs],
      expectedExit,
    )
    const [text] = result.content
    expectTrue(text.text === JSON.stringify(result.structuredContent), `${tool} says two things`, result)
    return result.structuredContent
  }
  const { tools } = await inspect(inspector, target, era, ['--method', 'tools/list', '--strict'])
  expectTrue(tools.length === 11 && tools.every((tool) => tool.outputSchema && tool.annotations), 'tools', tools)
  const found = await call('lilypad_search_modules', { query: moduleName })
  expectTrue(
    found.modules.some(({ module }) => module === moduleName),
    'search',
    found,
  )
  const quoted = await call('lilypad_quote_job', { module: moduleName, inputs })
  expectTrue(quoted.allowed === true, 'quote', quoted)
  let job = await call('lilypad_run_job', { quote_id: quoted.quote_id, wait_s: 45 })
  for (let round = 0; round < 20 && job.payment !== 'settled'; round++)
    job = await call('lilypad_get_job', { job_id: job.job_id, wait_s: 20 })
  expectTrue(job.done && job.verified && job.payment === 'settled', 'job', job)
  const again = await call('lilypad_run_job', { quote_id: quoted.quote_id, wait_s: 0 })
  expectTrue(again.job_id === job.job_id, 'the same quote again', again)
  const outputs = await call('lilypad_get_outputs', { job_id: job.job_id })
  expectTrue(
    outputs.verified && outputs.files.length > 0 && outputs.files.every(({ bytes }) => bytes > 0),
    'outputs',
    outputs,
  )
  const verified = await call('lilypad_verify_job', { job_id: job.job_id })
  expectTrue(verified.verdict === 'verified' && verified.checks.every(({ ok }) => ok), 'verify', verified)
  const wallet = await call('lilypad_get_wallet')
  expectTrue(wallet.mode === 'spending', 'wallet', wallet)
  const refused = await call('lilypad_get_job', { job_id: '0x12' }, 5)
  expectTrue(refused.error.code === 'INVALID_REQUEST', 'a bad id', refused)
  const seconds = Math.round((Date.now() - startedAt) / 1000)
  process.stdout.write(
    `${name} ${era}: ${job.charged} LILY, ${verified.checks.length} checks hold, settled in ${job.transaction} (${seconds} s)\n`,
  )
}

async function startHttp(stateDirectory) {
  const child = spawn(process.execPath, [bundle, 'http', '--port', '0'], {
    env: { ...serverEnv, LILYPAD_STATE_DIR: stateDirectory },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  const url = await new Promise((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      log += chunk
      const found = /"url":"([^"]+)"/.exec(log)?.[1]
      if (found) resolve(found)
    })
    child.once('exit', () => reject(new Error(`the server did not start: ${log}`)))
  })
  return { url, child }
}

async function main() {
  let inspector
  try {
    inspector = await installInspector()
  } catch (error) {
    process.stdout.write(`SKIPPED: the Inspector could not be installed (${String(error.message).split('\n', 1)[0]})\n`)
    return
  }
  const stateDirectory = env.LILYPAD_STATE_DIR ?? join(scratch, 'state')
  const stdioEnv = Object.entries({ ...serverEnv, LILYPAD_STATE_DIR: stateDirectory }).flatMap(([key, value]) => [
    '-e',
    `${key}=${value}`,
  ])
  const { url, child } = await startHttp(stateDirectory)
  try {
    await checkExtensions(inspector, [url, '--transport', 'http'])
    for (const era of ['legacy', 'modern']) {
      await drive(inspector, 'stdio', [...stdioEnv, process.execPath, bundle], era)
      await drive(inspector, 'http', [url, '--transport', 'http'], era)
    }
  } finally {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
}

main()
  .catch((error) => {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  })
  .finally(() => rmSync(scratch, { recursive: true, force: true }))
