// Runs the MCP conformance suite. P1: a server with the suite's fixtures, made of our pieces, against both frozen requirement sets and
// the skills. P2: the published server, whose failures must be the ones of `conformance/production-*.json`, no more and no fewer.
// The suite is installed into a folder of its own. Exit 0 when everything holds, or with a line SKIPPED when it cannot be had.
//
//   LILYPAD_CONFORMANCE   a suite that is installed already: its dist/index.js
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const suiteVersion = '0.2.0-alpha.12'
const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'lilypad-conformance-'))
const { env } = process
const writesBaseline = process.argv.includes('--write-baseline')
const revisions = ['2025-11-25', '2026-07-28']
const required = { '2025-11-25': 30, '2026-07-28': 37 }
const skillScenarios = ['sep-2640-skills-directory', 'sep-2640-skills-enumeration', 'sep-2640-skills-manifest']

async function installSuite() {
  if (env.LILYPAD_CONFORMANCE) return env.LILYPAD_CONFORMANCE
  const folder = join(scratch, 'suite')
  const name = `@modelcontextprotocol/conformance@${suiteVersion}`
  const options = ['--prefix', folder, '--no-save', '--no-audit', '--no-fund', '--loglevel=error', name]
  await run('npm', ['install', ...options], { timeout: 240_000 })
  return join(folder, 'node_modules/@modelcontextprotocol/conformance/dist/index.js')
}

/** Starts a server as a process of its own and waits for the address in what it prints. */
async function startServer(args, extra = {}) {
  const child = spawn(process.execPath, args, { env: { PATH: env.PATH, ...extra }, stdio: ['pipe', 'pipe', 'pipe'] })
  let printed = ''
  const url = await new Promise((resolve, reject) => {
    const read = (chunk) => {
      printed += chunk
      const found = /"url":"([^"]+)"/.exec(printed)?.[1]
      if (found) resolve(found)
    }
    child.stdout.on('data', read)
    child.stderr.on('data', read)
    child.once('exit', () => reject(new Error(`the server did not start: ${printed.slice(0, 2000)}`)))
  })
  return {
    url,
    async close() {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}

/** Runs the suite and reads its own records: passed and failed checks of each scenario. */
async function runSuite(suite, url, name, args) {
  const folder = join(scratch, name)
  const command = [suite, 'server', '--url', url, ...args, '-o', folder]
  const options = { timeout: 300_000, maxBuffer: 64 * 1024 ** 2, env: { PATH: env.PATH, HOME: scratch } }
  const { stdout } = await run(process.execPath, command, options).catch((error) => {
    if (typeof error.code !== 'number') throw error
    return error
  })
  const scenarios = readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('checks.json'))
    .map((file) => {
      const checks = JSON.parse(readFileSync(join(folder, file), 'utf8'))
      const count = (status) => checks.filter((check) => check.status === status).length
      const scenario = file
        .split('/')[0]
        .replace(/^server-/, '')
        .replace(/-\d{4}-\d{2}-\d{2}T.*$/, '')
      return { scenario, passed: count('SUCCESS'), failed: checks.filter(({ status }) => status === 'FAILURE') }
    })
  return { stdout, scenarios }
}

const names = (scenarios) => scenarios.map(({ scenario }) => scenario).sort()
const failing = ({ scenarios }) => scenarios.filter(({ failed }) => failed.length > 0)
function tell(what, { scenarios }) {
  const passed = scenarios.reduce((sum, scenario) => sum + scenario.passed, 0)
  const failed = failing({ scenarios })
  const failures = failed.reduce((sum, scenario) => sum + scenario.failed.length, 0)
  console.log(
    `${what}: ${scenarios.length - failed.length}/${scenarios.length} scenarios, ${passed}/${passed + failures} checks`,
  )
  for (const { scenario, failed: checks } of failed)
    for (const { id, errorMessage } of checks) console.log(`  ${scenario} ${id}: ${String(errorMessage).slice(0, 300)}`)
}

async function testFixtures(suite) {
  const server = await startServer(['--conditions=source', path('./conformance/server.ts')])
  let holds = true
  try {
    for (const revision of revisions) {
      const result = await runSuite(suite, server.url, `fixtures-${revision}`, ['--requirements', revision])
      tell(`fixtures, requirements of ${revision}`, result)
      const unscored = /Not scored for [\d-]+: (\d+) scenario/.exec(result.stdout)?.[1] ?? '0'
      const scored = result.scenarios.length - Number(unscored)
      // Fewer scenarios than the frozen set has would be a suite that does not run, not a server that passes.
      if (scored < required[revision] || failing(result).length > 0) holds = false
      console.log(`  required: ${scored} of ${required[revision]} ran, ${unscored} more are not scored`)
    }
    for (const scenario of skillScenarios) {
      const result = await runSuite(suite, server.url, scenario, ['--scenario', scenario])
      tell(`fixtures, ${scenario}`, result)
      if (failing(result).length > 0 || !result.scenarios.some(({ passed }) => passed > 1)) holds = false
    }
  } finally {
    await server.close()
  }
  return holds
}

/** The published server has none of the fixtures, so what asks for them fails; what else fails is a fault. */
async function testProduction(suite) {
  const networkFile = join(scratch, 'network.json')
  writeFileSync(networkFile, readFileSync(path('./conformance/silent-network.json')))
  const state = join(scratch, 'state')
  const bundle = path('../dist/bundle/lilypad-mcp.js')
  const server = await startServer([bundle, 'http', '--port', '0', '--network', networkFile, '--state-dir', state])
  let holds = true
  try {
    for (const revision of revisions) {
      const args = ['--suite', 'all', '--spec-version', revision]
      const result = await runSuite(suite, server.url, `production-${revision}`, args)
      tell(`production, ${revision}`, { scenarios: result.scenarios.filter(({ failed }) => failed.length === 0) })
      const file = path(`./conformance/production-${revision}.json`)
      const found = names(failing(result))
      if (writesBaseline) writeFileSync(file, `${JSON.stringify(found, undefined, 2)}\n`)
      const known = JSON.parse(readFileSync(file, 'utf8'))
      const added = found.filter((scenario) => !known.includes(scenario))
      const mended = known.filter((scenario) => !found.includes(scenario))
      console.log(`  ${found.length} scenarios ask for fixtures of the suite`)
      if (added.length > 0) console.log(`  FAILED, and not in the list: ${added.join(', ')}`)
      if (mended.length > 0) console.log(`  passes now, take it from ${file}: ${mended.join(', ')}`)
      if (added.length + mended.length > 0 || result.scenarios.length < 30) holds = false
    }
  } finally {
    await server.close()
  }
  return holds
}

async function main() {
  let suite
  try {
    suite = await installSuite()
  } catch (error) {
    console.log(`SKIPPED: the conformance suite could not be installed (${String(error.message).split('\n', 1)[0]})`)
    return true
  }
  const fixtures = await testFixtures(suite)
  const production = await testProduction(suite)
  return fixtures && production
}

let holds = false
try {
  holds = await main()
} catch (error) {
  console.error(error)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
process.exitCode = holds ? 0 : 1
