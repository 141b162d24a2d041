import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  findRecipient,
  type Hex,
  isSafePath,
  JobBundle,
  LilypadError,
  parseWire,
  toLilypadError,
} from '@lilypad-agents/protocol'
import {
  createChainClient,
  type FoundOutput,
  toLilypadChain,
  toVerification,
  type Verification,
  verifyBundle,
  verifySettlement,
} from '@lilypad-agents/sdk'
import { readNetworkFile } from '@lilypad-agents/sdk/node'

/** Reads a receipt bundle from its file. */
export async function readBundle(file: string): Promise<JobBundle> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new LilypadError('INVALID_REQUEST', 'The receipt cannot be read.', {
      details: [`File: ${file}`],
      hint: 'name a receipt.json, or the id of a job',
      cause: error,
    })
  }
  return parseWire(JobBundle, json, 'receipt')
}

async function findFile(folder: string, path: string): Promise<FoundOutput | undefined> {
  if (!isSafePath(path)) return undefined
  const file = join(folder, path)
  const found = await lstat(file).catch(() => undefined)
  if (!found?.isFile()) return undefined
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk)
  return { bytes: found.size, sha256: `0x${hash.digest('hex')}` as Hex, read: () => readFile(file) }
}

/** Name of the check that fails when the chain cannot be asked, which says nothing against the receipt. */
export const unaskedChain = 'chain.reachable'

/** Checks a receipt and the outputs beside it, offline; with a network file also against the chain. */
export async function verifyFiles(options: {
  readonly file: string
  readonly outputDirectory?: string
  readonly networkFile?: string
}): Promise<Verification> {
  const { file, networkFile } = options
  const bundle = await readBundle(file)
  const delivered = findRecipient(bundle.inputs) === undefined ? 'outputs' : 'sealed'
  const { outputDirectory = join(dirname(file), delivered) } = options
  const offline = await verifyBundle(bundle, { findOutput: (path) => findFile(outputDirectory, path) })
  if (!networkFile) return offline
  const client = createChainClient({ chain: toLilypadChain(readNetworkFile(networkFile)) })
  try {
    const onChain = await verifySettlement(client, bundle)
    return toVerification([...offline.checks, ...onChain.checks])
  } catch (error) {
    const { code, shortMessage } = toLilypadError(error)
    if (code !== 'RPC_UNREACHABLE') throw error
    return toVerification([...offline.checks, { name: unaskedChain, ok: false, evidence: shortMessage }])
  }
}
