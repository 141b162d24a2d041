import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import {
  type Bytes32,
  LilypadError,
  ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
  parseWire,
  sha256,
} from '@lilypad-agents/protocol'
import {
  type ChainClient,
  createSolverClient,
  getVersion,
  type Network,
  publishVersion,
  publicationOf,
  type SolverClient,
  signingDomain,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { z } from 'zod'

/** A module built from its folder. */
export type BuiltModule = {
  readonly folder: string
  readonly manifest: ModuleManifest
  readonly programPath: string | undefined
}

const BuildAnswer = z.object({ manifestPath: z.string().optional(), programPath: z.string().optional() })

/**
 * Builds the module in a folder: runs its `build.mjs`, if it has one, which may answer with a completed manifest and the program.
 * The build runs with the rights of the caller: build only what you trust. `onProgress` gets the lines that the recipe writes to stderr.
 */
export async function buildModule(
  path: string,
  options: { readonly onProgress?: (line: string) => void } = {},
): Promise<BuiltModule> {
  const folder = resolve(path)
  const manifestPath = join(folder, 'module.json')
  if (!existsSync(manifestPath)) {
    throw new LilypadError('INVALID_REQUEST', 'The folder holds no module.', {
      details: [`Expected: ${manifestPath}`],
      hint: 'name a folder with a module.json',
    })
  }
  const recipe = join(folder, 'build.mjs')
  const answer = existsSync(recipe) ? BuildAnswer.parse(await runRecipe(recipe, folder, options.onProgress)) : {}
  const manifest = parseWire(
    ModuleManifest,
    await readJson(answer.manifestPath ?? manifestPath),
    `manifest ${manifestPath}`,
  )
  const programPath =
    manifest.runtime.kind === 'wasm' ? (answer.programPath ?? join(folder, 'program.wasm')) : undefined
  if (programPath && manifest.runtime.kind === 'wasm') {
    const actual = sha256(await readFile(programPath))
    if (actual !== manifest.runtime.program.sha256) {
      throw new LilypadError('DIGEST_MISMATCH', 'The program is not the one that module.json names.', {
        details: [`Expected: ${manifest.runtime.program.sha256}   Actual: ${actual}   File: ${programPath}`],
        hint: 'put the actual digest into module.json if the change was meant',
      })
    }
  }
  return { folder, manifest, programPath }
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    throw new LilypadError('INVALID_REQUEST', 'The file is not a JSON object.', {
      details: [`File: ${path}`],
      cause: error,
    })
  }
}

async function runRecipe(
  recipe: string,
  folder: string,
  onProgress: (line: string) => void = () => {},
): Promise<unknown> {
  try {
    const running = promisify(execFile)(process.execPath, [recipe], {
      cwd: folder,
      maxBuffer: 16 * 1024 ** 2,
      timeout: 900_000,
    })
    if (running.child.stderr) createInterface({ input: running.child.stderr }).on('line', onProgress)
    const { stdout } = await running
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } catch (error) {
    const stderr = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr) : ''
    throw new LilypadError('CONFIG_INVALID', 'The build recipe of the module failed.', {
      details: [
        `Recipe: ${recipe}`,
        ...recipeFailure(stderr)
          .slice(-5)
          .map((line) => line.slice(0, 300)),
      ],
      hint: `run it by itself to see all that it says: node ${recipe}`,
      cause: error,
    })
  }
}

/** What a failed recipe said, without what Node adds to an error that nobody caught, so that the last line is the reason. */
export function recipeFailure(stderr: string): readonly string[] {
  const lines = stderr.trim().slice(-8000).split('\n')
  const ofNode = lines.findLastIndex((line) => /^(node:internal\/|file:\/\/|\/).*:\d+$/.test(line))
  if (ofNode < 0 || !/^Node\.js v\d/.test(lines.at(-1) ?? '')) return lines
  const message = lines.slice(ofNode).find((line) => /^(Uncaught )?\w*Error\b.*: /.test(line))
  const cause = lines.slice(ofNode).find((line) => /^\s+\[cause\]: \w*Error/.test(line))
  const said = lines.slice(0, ofNode).filter((line) => line.trim() !== '')
  return [...said, ...(message === undefined ? [] : [`${message}${cause === undefined ? '' : ` (${cause.trim()})`}`])]
}

/** A version that is in the registry and known to the solver. */
export type PublishedModule = {
  readonly name: string
  readonly version: string
  readonly moduleVersion: Bytes32
  readonly transaction: string | null
}

/** Registers a built module on chain and gives its manifest and program to the solver. Doing it again changes nothing. */
export async function publishModule(options: {
  readonly built: BuiltModule
  readonly client: ChainClient
  readonly network: Network
  /** Publishes another build under the same version number too. @default false */
  readonly allowSameVersion?: boolean
}): Promise<PublishedModule> {
  const { built, client, network, allowSameVersion = false } = options
  const { manifest, programPath } = built
  const chain = toLilypadChain(network)
  const manifestDigest = moduleManifestDigest(manifest)
  const moduleVersion = moduleVersionId(manifest.name, manifestDigest)
  const isPublished = await getVersion(client, { moduleVersion }).then(
    () => true,
    (error: unknown) => {
      if (LilypadError.is(error) && error.code === 'MODULE_UNKNOWN') return false
      throw error
    },
  )
  const solver = createSolverClient({ url: network.solverUrl, domain: signingDomain(chain) })
  if (!isPublished && !allowSameVersion) await assertNewVersion(solver, manifest)
  let transaction: string | null = null
  if (!isPublished) {
    const options = publicationOf(manifest, { priceToken: network.contracts.lilyToken })
    const { receipt } = await publishVersion.sync(client, { options })
    transaction = receipt.transactionHash
  }
  await solver.publishModule(manifest)
  if (programPath && manifest.runtime.kind === 'wasm')
    await solver.uploadArtifact(manifest.runtime.program.sha256, await readFile(programPath))
  return { name: manifest.name, version: manifest.version, moduleVersion, transaction }
}

/** Two builds under one version number would be told apart by nobody. */
async function assertNewVersion(solver: SolverClient, manifest: ModuleManifest): Promise<void> {
  const current = await solver.getModule(manifest.name).catch((error: unknown) => {
    if (LilypadError.is(error) && error.code === 'MODULE_UNKNOWN') return undefined
    throw error
  })
  if (current?.manifest.version !== manifest.version) return
  throw new LilypadError('STATE_CONFLICT', 'This version is published already, with another program or manifest.', {
    details: [`Module: ${manifest.name}   Version: ${manifest.version}`],
    hint: 'count `version` up in module.json; the newest publication is what a name stands for',
  })
}
