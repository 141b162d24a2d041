import { inArray } from 'drizzle-orm'
import {
  type Address,
  type Bytes32,
  encodeModuleManifest,
  LilypadError,
  ModuleManifest,
} from '@lilypad-agents/protocol'
import { modules } from '../db/schema.ts'
import type { Database } from '../db/open-database.ts'

/** A published module version, without its offers. */
export type CatalogModule = {
  readonly moduleVersion: Bytes32
  readonly name: string
  readonly author: Address
  readonly manifestDigest: Bytes32
  readonly feeBips: number
  readonly deprecated: boolean
  readonly publishedAtBlock: number
  readonly manifest: ModuleManifest
}

/** A program that published versions run. */
export type CatalogProgram = { readonly sha256: Bytes32; readonly author: Address; readonly isWithdrawn: boolean }

/** Published modules: all in memory, every change on disk first. */
export type ModuleCatalog = {
  find(nameOrVersion: string): CatalogModule | undefined
  /** @throws {@link ModuleUnknownError} */
  get(nameOrVersion: string): CatalogModule
  /** Newest version of each module. */
  listNewest(): readonly CatalogModule[]
  /** Programs of all versions, each once. `author` is the first that published it; withdrawn when all its versions are. */
  listPrograms(): readonly CatalogProgram[]
  /** Size of a program that some published version runs. */
  findProgramBytes(sha256: Bytes32): number | undefined
  add(module: CatalogModule, now: number): Promise<void>
  deprecate(moduleVersions: readonly Bytes32[]): Promise<void>
}

/** No module of this name or version is published here. */
export class ModuleUnknownError extends LilypadError {
  override readonly name = 'ModuleUnknownError'
  constructor(nameOrVersion: string) {
    super('MODULE_UNKNOWN', 'This solver knows no such module.', {
      details: [`Module: ${JSON.stringify(nameOrVersion.slice(0, 80))}`],
      hint: 'search with `lilypad modules search`; a new module is first published in the registry on chain, then here',
    })
  }
}

/** Reads the catalogue into memory. */
export async function openModuleCatalog(database: Database): Promise<ModuleCatalog> {
  const versions = new Map<string, CatalogModule>()
  const newest = new Map<string, CatalogModule>()
  const programs = new Map<string, number>()

  function remember(module: CatalogModule): void {
    versions.set(module.moduleVersion, module)
    const { runtime } = module.manifest
    if (runtime.kind === 'wasm') programs.set(runtime.program.sha256, runtime.program.bytes)
    const current = newest.get(module.name)
    if (!current || current.moduleVersion === module.moduleVersion || isNewer(module, current))
      newest.set(module.name, module)
  }

  for (const { manifest, createdAt: _, ...row } of await database.select().from(modules)) {
    remember({ ...row, manifest: ModuleManifest.parse(JSON.parse(manifest)) })
  }

  const find = (nameOrVersion: string) => versions.get(nameOrVersion) ?? newest.get(nameOrVersion)
  return {
    find,
    get(nameOrVersion) {
      const module = find(nameOrVersion)
      if (!module) throw new ModuleUnknownError(nameOrVersion)
      return module
    },
    listNewest: () => [...newest.values()].filter(({ deprecated }) => !deprecated),
    listPrograms() {
      const found = new Map<Bytes32, CatalogProgram>()
      const oldestFirst = [...versions.values()].sort((a, b) => a.publishedAtBlock - b.publishedAtBlock)
      for (const { manifest, author, deprecated } of oldestFirst) {
        if (manifest.runtime.kind !== 'wasm') continue
        const { sha256 } = manifest.runtime.program
        const known = found.get(sha256)
        found.set(sha256, {
          sha256,
          author: known?.author ?? author,
          isWithdrawn: deprecated && (known?.isWithdrawn ?? true),
        })
      }
      return [...found.values()]
    },
    findProgramBytes: (sha256) => programs.get(sha256),
    async add(module, now) {
      await database
        .insert(modules)
        .values({ ...module, manifest: encodeModuleManifest(module.manifest), createdAt: now })
        .onConflictDoUpdate({
          target: modules.moduleVersion,
          set: { deprecated: module.deprecated, feeBips: module.feeBips },
        })
      remember(module)
    },
    async deprecate(moduleVersions) {
      const known = moduleVersions
        .flatMap((version) => versions.get(version) ?? [])
        .filter(({ deprecated }) => !deprecated)
      if (known.length === 0) return
      await database
        .update(modules)
        .set({ deprecated: true })
        .where(
          inArray(
            modules.moduleVersion,
            known.map(({ moduleVersion }) => moduleVersion),
          ),
        )
      for (const { name } of known) newest.delete(name)
      for (const module of known) versions.set(module.moduleVersion, { ...module, deprecated: true })
      // The newest version of a name is the newest that its author still stands behind; if there is none, the newest.
      for (const module of [...versions.values()].filter(({ name }) => !newest.has(name))) remember(module)
    },
  }
}

function isNewer(a: CatalogModule, b: CatalogModule): boolean {
  if (a.deprecated !== b.deprecated) return b.deprecated
  return a.publishedAtBlock > b.publishedAtBlock
}
