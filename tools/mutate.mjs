#!/usr/bin/env node
// Mutation testing of the vault: changes one place of the source at a time, compiles, and expects its tests to fail.
//   node tools/mutate.mjs [--count 80] [--seed 1] [--out mutants.jsonl]
// The sources stay as they are: a mutant is compiled in memory, and its bytecode replaces the one in an artifact of a folder of its own, from
// which the tests deploy. Same seed and sources, same mutants. A line of `--out` is one mutant; lines that are there are not run again.
import { spawnSync } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { foundryBinary } from './foundry.mjs'

const require = createRequire(import.meta.url)
const { values: options } = parseArgs({
  options: {
    count: { type: 'string', default: '80' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: join(tmpdir(), 'lilypad-mutants.jsonl') },
    list: { type: 'boolean', default: false },
  },
})
const folder = join(tmpdir(), 'lilypad-mutation')
const target = 'contracts/src/JobVault.sol'
/** Files and their part of the sample, by code that can go wrong. */
const files = {
  'contracts/src/JobVault.sol': 0.45,
  'contracts/src/JobVaultBase.sol': 0.2,
  'contracts/src/JobVaultExtension.sol': 0.35,
}
const suites = 'contracts/test/{JobVault.*,invariant/JobVault.*,system/Attacks.*,system/Replays.*}'
const remappings = [
  'solady/=node_modules/solady/src/',
  '@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/',
]

/** Each: name, what it looks for, what it puts there; `place` limits it to assembly or to the rest. */
const operators = [
  [
    'relation',
    /(?<![<>=!-])(<=|>=|<|>|==|!=)(?![<>=])/g,
    (_, o) => ({ '<=': '<', '<': '<=', '>=': '>', '>': '>=', '==': '!=', '!=': '==' })[o],
    'code',
  ],
  ['sum', /(?<=[\w)\]] )([+-]=?)(?= )/g, (_, o) => o.replace(/[+-]/, (c) => (c === '+' ? '-' : '+')), 'code'],
  ['logic', /&&|\|\|/g, (o) => (o === '&&' ? '||' : '&&'), 'code'],
  ['bits', /(?<= )(<<|>>|&|\|)(?= )/g, (_, o) => ({ '<<': '>>', '>>': '<<', '&': '|', '|': '&' })[o], 'code'],
  ['constant', /(?<![\w."'])(\d+)(?![\w."'])/g, (_, n) => String(Number(n) + 1), 'code'],
  ['boolean', /\b(true|false)\b/g, (o) => (o === 'true' ? 'false' : 'true'), 'code'],
  ['extremum', /\.(min|max|zeroFloorSub)\(/g, (_, o) => (o === 'min' ? '.max(' : '.min('), 'code'],
  ['no check', /\brequire\([^;]*;|\bif \([^;{]*\) revert [^;]*;/g, () => '', 'code'],
  ['no guard', / nonReentrant\b/g, () => '', 'code'],
  [
    'no statement',
    /(?<=\n\s+)(?!require|return|revert|if|for|using|emit|import|u?int|bool|bytes|address|mapping|[A-Z])[\w.[\]]+(\([^;]*\)| [+-]?= [^;]*|\+\+);/g,
    () => '',
    'code',
  ],
  ['no event', /(?<=\n\s+)emit [^;]*;/g, () => '', 'code'],
  ['no skip', /(?<=\n\s+)if \([^{;]*\) (?:continue|return)[^;]*;/g, () => '', 'code'],
  ['word', /\b0x[0-9a-f]{2}\b/g, (o) => `0x${(Number(o) + 0x20).toString(16).padStart(2, '0')}`, 'assembly'],
  [
    'operation',
    /\b(add|sub|shl|shr|and|or|lt|gt|mul|div)\(/g,
    (_, o) =>
      ({
        add: 'sub(',
        sub: 'add(',
        shl: 'shr(',
        shr: 'shl(',
        and: 'or(',
        or: 'and(',
        lt: 'gt(',
        gt: 'lt(',
        mul: 'add(',
        div: 'mul(',
      })[o],
    'assembly',
  ],
  ['number', /(?<![\w.])(\d+)(?![\w.])/g, (_, n) => String(Number(n) + 1), 'assembly'],
  [
    'no write',
    /(?<=\n\s+)(?:[ms]store|calldatacopy|returndatacopy|log2)\(.*\)(?=\n)|(?<=\n\s+)\w+ := .*(?=\n)/g,
    () => '',
    'assembly',
  ],
]

/** Blanks of the same length for what is not code, so that places agree. */
function blankComments(text) {
  return text.replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
}

/** First and last place of every assembly block. */
function findAssembly(code) {
  const blocks = []
  for (const { index } of code.matchAll(/assembly \("memory-safe"\) \{/g)) {
    let [end, depth] = [code.indexOf('{', index), 0]
    do {
      depth += { '{': 1, '}': -1 }[code[end]] ?? 0
      end++
    } while (depth > 0)
    blocks.push([index, end])
  }
  return blocks
}

function listMutants(file) {
  const text = readFileSync(file, 'utf8')
  const code = blankComments(text)
  const blocks = findAssembly(code)
  const start = code.search(/\n(abstract )?contract \w+/)
  return operators.flatMap(([operator, pattern, replace, place]) =>
    [...code.matchAll(pattern)]
      .filter(({ index }) => index > start)
      .filter(({ index }) => blocks.some(([from, to]) => index > from && index < to) === (place === 'assembly'))
      .map((match) => ({
        file,
        operator,
        index: match.index,
        line: text.slice(0, match.index).split('\n').length,
        original: match[0],
        replacement: replace(...match),
      })),
  )
}

/** Numbers from a seed (mulberry32). */
function createChance(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

function shuffle(items, chance) {
  for (let i = items.length - 1; i > 0; i--) {
    const j = Math.floor(chance() * (i + 1))
    ;[items[i], items[j]] = [items[j], items[i]]
  }
  return items
}

/** Operators take turns, so that a rare one is met as well. */
function orderMutants(file, chance) {
  const mutants = shuffle(listMutants(file), chance)
  const queues = operators.map(([name]) => mutants.filter(({ operator }) => operator === name))
  const ordered = []
  while (queues.some((queue) => queue.length > 0)) {
    for (const queue of queues) if (queue.length > 0) ordered.push(queue.pop())
  }
  return ordered
}

function readSources() {
  const sources = {}
  const add = (path) => {
    if (sources[path]) return
    const content = readFileSync(path, 'utf8')
    sources[path] = { content }
    for (const [, name] of content.matchAll(/^\s*(?:import|\}\s*from)[^"';]*"([^"]+)"/gm)) {
      const remapping = remappings.map((entry) => entry.split('=')).find(([from]) => name.startsWith(from))
      if (remapping) add(name.replace(...remapping))
      else add(new URL(name, `file:///${path}`).pathname.slice(1))
    }
  }
  add(target)
  return sources
}

/** Returns the contract, or undefined when it does not compile. */
function compile(sources) {
  const input = {
    language: 'Solidity',
    sources,
    settings: {
      remappings,
      evmVersion: 'cancun',
      viaIR: true,
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      // The shortest code compiles fastest, and behaves the same.
      optimizer: { enabled: true, runs: 1 },
      outputSelection: { [target]: { JobVault: ['evm.bytecode', 'evm.deployedBytecode'] } },
    },
  }
  const output = JSON.parse(require('solc').compile(JSON.stringify(input)))
  if (output.errors?.some(({ severity }) => severity === 'error')) return undefined
  return output.contracts[target].JobVault.evm
}

const environment = { ...process.env, FOUNDRY_OUT: join(folder, 'out'), FOUNDRY_CACHE_PATH: join(folder, 'cache') }
const forge = (args, extra = {}, timeout = 900_000) =>
  spawnSync(foundryBinary('forge'), args, {
    env: { ...environment, ...extra },
    timeout,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })

function runTests({ bytecode, deployedBytecode }) {
  const path = join(folder, 'out/JobVault.sol/JobVault.json')
  const artifact = JSON.parse(readFileSync(path, 'utf8'))
  artifact.bytecode.object = `0x${bytecode.object}`
  Object.assign(artifact.deployedBytecode, {
    object: `0x${deployedBytecode.object}`,
    immutableReferences: deployedBytecode.immutableReferences,
  })
  writeFileSync(path, JSON.stringify(artifact))
  // A failure of one mutant is not tried on the next one, and every mutant meets the same inputs.
  const failures = join(folder, 'failures')
  rmSync(failures, { recursive: true, force: true })
  const quick = {
    FOUNDRY_SOLC: noCompiler,
    FOUNDRY_FUZZ_RUNS: '8',
    FOUNDRY_INVARIANT_RUNS: '4',
    FOUNDRY_FUZZ_SEED: '0x1',
    FOUNDRY_FUZZ_FAILURE_PERSIST_DIR: failures,
    FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR: failures,
  }
  const args = ['test', '--fail-fast', '--match-path', suites, '--no-match-path', 'contracts/test/JobVault.gas.t.sol']
  const result = forge(args, quick, 240_000)
  if (result.error || result.signal) return { outcome: 'killed', by: 'time' }
  const failure = result.stdout.match(/\[FAIL[\s\S]*?\b((?:test|invariant)\w+|setUp|afterInvariant)\(/)
  if (result.status !== 0 && !failure) throw new Error(result.stdout.slice(-2000) + result.stderr.slice(-2000))
  return result.status === 0 ? { outcome: 'survived' } : { outcome: 'killed', by: failure[1] }
}

const count = Number(options.count)
const chance = createChance(Number(options.seed))
const queues = Object.keys(files).map((file) => orderMutants(file, chance))
console.error(
  Object.keys(files)
    .map((file, i) => `${file}: ${queues[i].length} possible mutants`)
    .join('\n'),
)
if (options.list) {
  console.log(
    queues
      .flat()
      .map((mutant) => JSON.stringify(mutant))
      .join('\n'),
  )
  process.exit(0)
}
mkdirSync(folder, { recursive: true })
// forge asks again for what `solc.mjs` leaves out of the tests; after the first time the answer is known: nothing.
const noCompiler = join(folder, 'no-solc.mjs')
const answer = { sources: {}, contracts: {} }
writeFileSync(
  noCompiler,
  `#!/usr/bin/env node
if (!process.argv.includes('--version')) for await (const _ of process.stdin);
console.log(process.argv.includes('--version') ? 'solc\\nVersion: ${require('solc').version()}' : '${JSON.stringify(answer)}')
`,
  { mode: 0o755 },
)
const built = forge(['build'])
if (built.status !== 0) throw new Error(built.stdout + built.stderr)
const sources = readSources()
const original = compile(sources)
const baseline = runTests(original)
if (baseline.outcome !== 'survived') throw new Error(`The tests fail without a mutation: ${baseline.by}`)

const known = existsSync(options.out)
  ? readFileSync(options.out, 'utf8')
      .trim()
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  : []
const keyOf = ({ file, index, operator }) => `${file}:${index}:${operator}`
const results = new Map(known.map((mutant) => [keyOf(mutant), mutant]))
const quotas = Object.values(files).map((part) => Math.round(part * count))
// Files take turns, too: a run that is cut short is a smaller sample of the same kind.
const taken = quotas.map(() => 0)
for (let round = 0; taken.some((sum, i) => sum < quotas[i]); round++) {
  for (const [i, queue] of queues.entries()) {
    if (taken[i] / quotas[i] > round / Math.max(...quotas) || taken[i] >= quotas[i]) continue
    let result
    do {
      const mutant = queue.shift()
      result = results.get(keyOf(mutant)) ?? runMutant(mutant)
      results.set(keyOf(mutant), result)
    } while (result.outcome === 'invalid')
    taken[i]++
  }
}

function runMutant(mutant) {
  const text = sources[mutant.file].content
  const changed = text.slice(0, mutant.index) + mutant.replacement + text.slice(mutant.index + mutant.original.length)
  const evm = compile({ ...sources, [mutant.file]: { content: changed } })
  const isNothing = evm === undefined || evm.bytecode.object === original.bytecode.object
  const result = { ...mutant, ...(isNothing ? { outcome: 'invalid' } : runTests(evm)) }
  appendFileSync(options.out, `${JSON.stringify(result)}\n`)
  console.error(
    `${result.outcome}${result.by ? ` by ${result.by}` : ''}: ${mutant.file}:${mutant.line} ${mutant.operator}: ${mutant.original.slice(0, 80)}`,
  )
  return result
}

const counted = [...results.values()].filter(({ outcome }) => outcome !== 'invalid')
const killed = counted.filter(({ outcome }) => outcome === 'killed').length
console.log(`${killed} of ${counted.length} killed (${((100 * killed) / counted.length).toFixed(1)} %)`)
for (const { file, line, operator, original: before, replacement } of counted.filter(
  ({ outcome }) => outcome === 'survived',
)) {
  console.log(`survived: ${file}:${line} ${operator}: ${before} -> ${replacement}`)
}
