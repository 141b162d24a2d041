#!/usr/bin/env node
// Answers as the `solc` program would, with the npm package: forge then needs no download. Code generation takes nearly all of the time
// and is done contract by contract, so it is shared among threads; each of them reads all sources, and the ids of the sources agree.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

const require = createRequire(import.meta.url)

/** Below this many selected files a second thread costs more than it saves. */
const filesPerThread = 8

/** Splits the files whose output is wanted into shares of about equal work: tests weigh more, for they carry the test library. */
function shareFiles(input, threads) {
  const files = Object.entries(input.settings.outputSelection)
  const weigh = ([path]) => {
    const length = input.sources[path]?.content?.length ?? 0
    return path.endsWith('.t.sol') ? length + 30_000 : length
  }
  const shares = Array.from({ length: threads }, () => ({ weight: 0, files: [] }))
  for (const file of files.toSorted((a, b) => weigh(b) - weigh(a))) {
    const lightest = shares.reduce((least, share) => (share.weight < least.weight ? share : least))
    lightest.weight += weigh(file)
    lightest.files.push(file)
  }
  return shares.map((share) => ({
    ...input,
    settings: { ...input.settings, outputSelection: Object.fromEntries(share.files) },
  }))
}

const compileInThread = (input) =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: JSON.stringify(input) })
    worker.once('message', (output) => resolve(JSON.parse(output)))
    worker.once('error', reject)
  })

function mergeOutputs(outputs) {
  const [first] = outputs
  const errors = new Map(outputs.flatMap(({ errors = [] }) => errors.map((error) => [JSON.stringify(error), error])))
  const contracts = Object.assign({}, ...outputs.map(({ contracts = {} }) => contracts))
  const sources = Object.assign({}, ...outputs.map(({ sources = {} }) => sources))
  return { ...first, contracts, sources, ...(errors.size > 0 ? { errors: [...errors.values()] } : {}) }
}

/**
 * Tests are compiled without the intermediate representation, which takes most of the time and helps nobody there. Contracts that they
 * only name would be compiled so once more, and some cannot be: tests deploy them by the artifact of the first time.
 */
function leaveOutContracts(input) {
  const files = Object.entries(input.settings.outputSelection).filter(([path]) => !path.startsWith('contracts/src/'))
  return { ...input, settings: { ...input.settings, outputSelection: Object.fromEntries(files) } }
}

async function compile(text) {
  const wanted = JSON.parse(text)
  // In the copy of `shallow-contracts.mjs` everything is compiled the quick way, and once.
  // biome-ignore lint/suspicious/noUndeclaredEnvVars: forge sets it, no task of turbo.
  const isTests = wanted.settings?.viaIR === false && process.env.FOUNDRY_PROFILE !== 'shallow'
  const input = isTests ? leaveOutContracts(wanted) : wanted
  const selection = Object.keys(input.settings?.outputSelection ?? {})
  const threads = selection.includes('*')
    ? 1
    : Math.min(availableParallelism(), 8, Math.floor(selection.length / filesPerThread))
  if (threads < 2) return require('solc').compile(JSON.stringify(input))
  return JSON.stringify(mergeOutputs(await Promise.all(shareFiles(input, threads).map(compileInThread))))
}

if (!isMainThread) {
  parentPort.postMessage(require('solc').compile(workerData))
} else {
  const arguments_ = process.argv.slice(2)
  if (arguments_.includes('--version')) {
    console.log('solc, the solidity compiler commandline interface')
    console.log(`Version: ${require('solc').version()}`)
  } else if (arguments_.includes('--standard-json')) {
    const file = arguments_.at(-1)
    const text = file !== undefined && !file.startsWith('-') ? readFileSync(file, 'utf8') : readFileSync(0, 'utf8')
    process.stdout.write(await compile(text))
  } else {
    console.error('solc.mjs answers --version and --standard-json only.')
    process.exit(1)
  }
}
