// Writes what repeats other files: docs/errors.md from the error table, and the page, the skills and the list of tools of the MCP server as
// modules, since the server is published without other files, and the forms in which it is installed. `--check` writes nothing and fails when one is stale.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { exitCodes, toExitCode } from '../packages/cli/src/output/exit-code.ts'
import { errorTable } from '../packages/protocol/src/error/error-table.ts'
import { paidTools, tools } from '../servers/mcp/src/tools/index.ts'
import { errorTexts } from './error-texts.mjs'
import { committedFiles } from './mcp-packages.mjs'
import { renderTable } from './render-table.mjs'

const root = dirname(import.meta.dirname)
const exitMeanings = {
  ok: 'done',
  failed: 'failed for any other reason',
  usage: 'the command line, inputs or settings are wrong',
  notVerified: 'something does not verify',
  overLimit: 'a limit, maximum price or balance does not allow it',
  unavailable: 'a party or service does not answer in time: try again',
}

function renderErrors() {
  const codes = Object.keys(errorTable)
  const missing = codes.filter((code) => !Object.hasOwn(errorTexts, code))
  const left = Object.keys(errorTexts).filter((code) => !Object.hasOwn(errorTable, code))
  const unexplained = Object.keys(exitCodes).filter((name) => !Object.hasOwn(exitMeanings, name))
  if (missing.length + left.length + unexplained.length > 0) {
    console.error(
      [
        ...missing.map((code) => `tools/error-texts.mjs lacks ${code}`),
        ...left.map((code) => `tools/error-texts.mjs explains ${code}, which is no code`),
        ...unexplained.map((name) => `tools/generate-docs.mjs lacks the exit code ${name}`),
      ].join('\n'),
    )
    process.exit(1)
  }
  const sections = codes.flatMap((code) => {
    const { http, retryable, mcp } = errorTable[code]
    const { what, charged, fix } = errorTexts[code]
    const { docsPath } = new LilypadError(code, '')
    return [
      `<a id="${docsPath.split('#')[1]}"></a>`,
      '',
      `### ${code}`,
      '',
      what,
      '',
      `- Charged: ${charged}`,
      `- What to do: ${fix}`,
      `- HTTP ${http} · exit code ${toExitCode(new LilypadError(code, ''))} · ${retryable ? 'the same call may succeed later' : 'the same call will fail again'}${mcp === 'reference' ? ' · a model sees a reference only' : ''}`,
      '',
    ]
  })
  return [
    '<!-- Generated from packages/protocol/src/error/error-table.ts by tools/generate-docs.mjs; not edited by hand. -->',
    '',
    '# Errors',
    '',
    'Every error has a stable code, a sentence that is safe to show, facts in `details`, what it has cost so far in `charged`, and a hint.',
    '`charged` is `none`, `reserved` (it comes back by itself), an amount in base units, or `unknown` until the job is read again.',
    'The same fields travel over HTTP, over MCP and in the output of `lilypad … --json`.',
    '',
    '```json',
    JSON.stringify(
      new LilypadError('PRICE_OVER_CAP', 'The job can cost more than the given maximum.', {
        details: ['Maximum: 1000   Price: 1950'],
        hint: 'raise the maximum, or choose another module',
      }).toBody(),
      null,
      2,
    ).replace(/\[\n\s+("[^\n]*")\n\s+\]/g, '[$1]'),
    '```',
    '',
    '## Exit codes of the command',
    '',
    ...renderTable([
      ['code', 'meaning'],
      ...Object.entries(exitCodes).map(([name, code]) => [String(code), exitMeanings[name]]),
    ]),
    '',
    '## Codes',
    '',
    ...sections,
  ].join('\n')
}

/** The MCP server's page and skills, by their paths. */
function renderMcpFiles() {
  const folder = join(root, 'servers/mcp')
  const read = (path) => readFileSync(join(folder, path), 'utf8')
  const skills = readdirSync(join(folder, 'skills'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(join(folder, 'skills'), join(parentPath, name)).replaceAll('\\', '/'))
    .sort()
  return [
    '// Generated from servers/mcp/page and servers/mcp/skills by tools/generate-docs.mjs; not edited by hand.',
    '',
    '/** Page of a job for hosts that show apps. */',
    `export const jobPage = ${JSON.stringify(read('page/job.html'))}`,
    '',
    '/** Skills, each in a folder of its own. */',
    'export const skillFiles: Readonly<Record<string, string>> = {',
    ...skills.map((path) => `  ${JSON.stringify(path)}: ${JSON.stringify(read(`skills/${path}`))},`),
    '}',
    '',
  ].join('\n')
}

/** The MCP server's tools as a client sees them, so that its start converts no schema. */
function renderToolList() {
  const toRow = (ofPaidServers) => (tool) =>
    `  ${JSON.stringify({ needsKey: tool.needsKey, ofPaidServers, tool: tool.describe() })},`
  const rows = [...tools.map(toRow(false)), ...paidTools.map(toRow(true))]
  return [
    '// Generated from servers/mcp/src/tools by tools/generate-docs.mjs; not edited by hand.',
    "import type { Tool } from '@modelcontextprotocol/server'",
    '',
    '/** Every tool as it is listed, in the order of use. Those `ofPaidServers` buy from other servers, where the owner named some. */',
    'export const toolList: readonly { readonly needsKey: boolean; readonly ofPaidServers: boolean; readonly tool: Tool }[] = [',
    ...rows,
    ']',
    '',
  ].join('\n')
}

const files = [
  { path: 'docs/errors.md', text: renderErrors() },
  { path: 'servers/mcp/src/generated/embedded-files.ts', text: renderMcpFiles() },
  { path: 'servers/mcp/src/generated/tool-list.ts', text: renderToolList() },
  ...committedFiles(),
]
const isStale = ({ path, text }) => !existsSync(join(root, path)) || readFileSync(join(root, path), 'utf8') !== text
const stale = files.filter(isStale)
if (process.argv.includes('--check')) {
  for (const { path } of stale) console.error(`${path} is stale: run \`node tools/generate-docs.mjs\``)
  process.exit(stale.length === 0 ? 0 : 1)
}
for (const { path, text } of stale) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  console.log(`wrote ${path}`)
}
