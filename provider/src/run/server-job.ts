import {
  type Bytes32,
  inputFileName,
  type JobInputs,
  listInputFiles,
  type ModuleManifest,
  type ServerUsage,
} from '@lilypad-agents/protocol'
import type { ServerJob } from '../executors/executor.ts'

/** The request of a job that a model server answers; undefined for modules that are none. */
export function toServerJob(
  module: { readonly moduleVersion: Bytes32; readonly manifest: Pick<ModuleManifest, 'runtime' | 'units'> },
  options: {
    readonly inputs: JobInputs
    /** Files of this machine by the names they would have in `/in`. */
    readonly sources: ReadonlyMap<string, string>
    readonly caps: ServerUsage
  },
): ServerJob | undefined {
  const { runtime, units } = module.manifest
  const server = runtime.kind === 'container' ? runtime.server : undefined
  if (server === undefined) return undefined
  const { inputs, sources, caps } = options
  const isMetered = units.inputFrom.kind === 'server-usage' || units.outputFrom?.kind === 'server-usage'
  const text = inputs[server.input]
  const facts = {
    moduleVersion: module.moduleVersion,
    isMetered,
    caps: {
      inputUnits: units.inputFrom.kind === 'server-usage' ? caps.inputUnits : server.maxInputUnits,
      outputUnits: units.outputFrom?.kind === 'server-usage' ? caps.outputUnits : server.maxOutputUnits,
    },
  }
  if (typeof text === 'string') return { ...facts, request: text }
  const found = listInputFiles(inputs).find(({ input }) => input === server.input)
  const path = found && sources.get(inputFileName(found.input, found.file.mediaType))
  if (path === undefined) throw new TypeError(`the input ${server.input} is neither text nor a file`)
  return { ...facts, request: { path } }
}
