// Installs the server in each form in which it is given out, into empty folders, and speaks MCP to it: the npm package, on the oldest Node it
// takes too, the bundle for Claude Desktop, and the image. The registry's entry is held against its schema where that can be had.
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sampleContracts } from '@lilypad-agents/sdk'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { buildNodeImage, findNodeImageProblem } from '../../../provider/fixtures/node-image.ts'

const run = promisify(execFile)
const folder = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(tmpdir(), 'lilypad-install-'))
const mcpb = '@anthropic-ai/mcpb@2.1.2'
const oldestNode = 'node@22.13.0'
const tooOldNode = 'node@20.19.0'
const bytesPerMegabyte = 1_000_000
const { PATH, HOME } = process.env

/** Ends the lane with what was expected and what came. */
function expectTrue(isTrue, what, value) {
  if (!isTrue) throw new Error(`${what}: ${JSON.stringify(value)?.slice(0, 2000)}`)
}

function newFolder(name) {
  const path = join(scratch, name)
  mkdirSync(path)
  writeFileSync(join(path, 'package.json'), '{ "private": true }\n')
  return path
}

async function install(path, ...packages) {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', ['install', ...quiet, ...packages], { cwd: path, timeout: 240_000 })
}

const filesIn = (path) =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
const sizeOf = (path) => filesIn(path).reduce((sum, file) => sum + statSync(file).size, 0)

const shared = newFolder('lilypad')
writeFileSync(
  join(shared, 'network.json'),
  JSON.stringify({
    name: 'silent',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:1',
    solverUrl: 'http://127.0.0.1:2',
    contracts: sampleContracts(`0x${'1'.repeat(40)}`),
  }),
)
const env = { PATH, HOME, LILYPAD_NETWORK_FILE: join(shared, 'network.json'), LILYPAD_STATE_DIR: join(shared, 'mcp') }

/** Opens the server in both eras, lists its tools and calls one. */
async function speak(what, command, args, options = { env }) {
  for (const mode of ['legacy', { pin: '2026-07-28' }]) {
    const client = new Client({ name: 'install', version: '1.0.0' }, { versionNegotiation: { mode } })
    await client.connect(new StdioClientTransport({ command, args, stderr: 'ignore', ...options }))
    const { tools } = await client.listTools()
    expectTrue(
      tools.some(({ name }) => name === 'lilypad_search_modules'),
      `${what} lists its tools`,
      tools,
    )
    const { structuredContent, isError } = await client.callTool({ name: 'lilypad_list_jobs', arguments: {} })
    expectTrue(!isError && Array.isArray(structuredContent.jobs), `${what} answers`, structuredContent)
    const away = await client.callTool({ name: 'lilypad_search_modules', arguments: {} })
    expectTrue(away.structuredContent.error.code === 'SOLVER_UNREACHABLE', `${what} loads the client`, away)
    await client.close()
  }
  console.log(`${what}: speaks both eras`)
}

async function checkNpm() {
  const path = newFolder('npm')
  const { stdout } = await run('npm', ['pack', '--silent', join(folder, 'dist/npm')], { cwd: path })
  await install(path, `./${stdout.trim()}`)
  const { packages } = JSON.parse(readFileSync(join(path, 'node_modules/.package-lock.json'), 'utf8'))
  const megabytes = sizeOf(join(path, 'node_modules')) / bytesPerMegabyte
  console.log(`npm package: ${Object.keys(packages).length} package, ${megabytes.toFixed(1)} MB`)
  expectTrue(Object.keys(packages).length <= 3 && megabytes <= 15, 'V4: at most 3 packages and 15 MB', packages)
  await speak('npm package', join(path, 'node_modules/.bin/lilypad-mcp'), [])

  const nodes = newFolder('nodes')
  const main = join(path, 'node_modules/@lilypad-agents/mcp/lilypad-mcp.js')
  await install(nodes, `oldest@npm:${oldestNode}`, `too-old@npm:${tooOldNode}`)
  await speak(oldestNode, join(nodes, 'node_modules/oldest/bin/node'), [main])
  const refused = await run(join(nodes, 'node_modules/too-old/bin/node'), [main], { env }).catch((error) => error)
  expectTrue(
    refused.code === 5 && /needs Node 22\.13/.test(refused.stderr),
    `${tooOldNode} is told what to do`,
    refused,
  )
  console.log(`${tooOldNode}: is told what to do`)
}

async function checkMcpb() {
  const tools = newFolder('mcpb')
  await install(tools, mcpb)
  const command = join(tools, 'node_modules/.bin/mcpb')
  const bundle = join(tools, 'lilypad.mcpb')
  await run(command, ['validate', join(folder, 'dist/mcpb/manifest.json')])
  await run(command, ['pack', join(folder, 'dist/mcpb'), bundle])
  const megabytes = statSync(bundle).size / bytesPerMegabyte
  console.log(`bundle: valid, ${megabytes.toFixed(2)} MB`)
  expectTrue(megabytes <= 3, 'V4: at most 3 MB', megabytes)
  const unpacked = join(tools, 'unpacked')
  await run(command, ['unpack', bundle, unpacked])
  const manifest = JSON.parse(readFileSync(join(unpacked, 'manifest.json'), 'utf8'))
  const { command: program, args, env: asked } = manifest.server.mcp_config
  // What the user left out stays as it stands in the manifest.
  const given = { ...asked, LILYPAD_NETWORK_FILE: env.LILYPAD_NETWORK_FILE, LILYPAD_STATE_DIR: env.LILYPAD_STATE_DIR }
  expectTrue(program === 'node', 'the bundle runs with node', program)
  const filled = args.map((argument) => argument.replace(`\${__dirname}`, unpacked))
  await speak('bundle', process.execPath, filled, { env: { PATH, HOME, ...given } })
}

async function checkImage() {
  const problem = await findNodeImageProblem()
  if (problem) return console.log(`image: not built, ${problem}`)
  const base = 'lilypad-install-node'
  const image = 'lilypad-install-mcp'
  try {
    // Nothing can be pulled everywhere, so that this machine's Node stands in for the image that the file names.
    await buildNodeImage(fileURLToPath(import.meta.url), base)
    const args = ['build', '--network', 'none', '--build-arg', `NODE=${base}`, '--tag', image, folder]
    await run('docker', args, { env: { PATH, HOME, DOCKER_BUILDKIT: '0' }, timeout: 120_000 })
    const { stdout } = await run('docker', ['image', 'inspect', image])
    const [{ Config }] = JSON.parse(stdout)
    const { mcpName } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    expectTrue(Config.Labels['io.modelcontextprotocol.server.name'] === mcpName, 'the image is labelled', Config.Labels)
    expectTrue(Config.User !== '', 'the image does not run as root', Config.User)
    await run('chmod', ['-R', '777', shared])
    await speak('image', 'docker', ['run', '-i', '--rm', '--network', 'none', '-v', `${shared}:/lilypad`, image], {
      env: { PATH, HOME },
    })
  } finally {
    await run('docker', ['image', 'rm', '--force', image, base]).catch(() => undefined)
  }
}

async function checkRegistryEntry() {
  const entry = JSON.parse(readFileSync(join(folder, 'server.json'), 'utf8'))
  const schema = await fetch(entry.$schema, { signal: AbortSignal.timeout(10_000) }).then(
    (response) => (response.ok ? response.json() : undefined),
    () => undefined,
  )
  if (!schema) return console.log(`server.json: not held against its schema, ${entry.$schema} cannot be had`)
  const path = newFolder('schema')
  await install(path, 'ajv@8.17.1', 'ajv-formats@3.0.1')
  const script = `import Ajv from 'ajv'; import formats from 'ajv-formats'
const ajv = new Ajv({ strict: false }); formats(ajv)
const [, , schema, entry] = process.argv
if (!ajv.validate(JSON.parse(schema), JSON.parse(entry))) { console.error(ajv.errorsText()); process.exit(1) }`
  writeFileSync(join(path, 'validate.mjs'), script)
  await run(process.execPath, ['validate.mjs', JSON.stringify(schema), JSON.stringify(entry)], { cwd: path })
  console.log('server.json: fits its schema')
}

try {
  await checkNpm()
  await checkMcpb()
  await checkImage()
  await checkRegistryEntry()
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
