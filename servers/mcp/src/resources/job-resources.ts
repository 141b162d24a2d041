import { type Bytes32, Delivery, isFinal, isSafePath, SignedReservation, SignedVoucher } from '@lilypad-agents/protocol'
import type { StoredJob } from '@lilypad-agents/sdk'
import { type McpServer, type ReadResourceResult, ResourceTemplate, type Variables } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { isDone } from '../job/job-keeper.ts'
import { readLog, stateOf, toJobResult } from '../job/job-result.ts'
import { cleanText, quoteName, shownPath } from '../text/clean-text.ts'
import { toMediaType } from '../text/media-type.ts'
import type { ServerDeps } from '../tool/tool-context.ts'
import { Handle } from '../tools/module-reference.ts'
import { aDay, decodePart, jsonContents, live, readOrNotFound } from './read-resource.ts'
import { jobUri } from './resource-uri.ts'

const listedJobs = 20
const suggestions = 20
const logCharacters = 64_000
const maxBlobBytes = 32 * 1024 * 1024

/** A part of a job that can be read under its address. Undefined: there is none (yet). */
type JobPart = {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly mimeType: string
  /** What stands behind the job's id. */
  readonly suffix: string
  read(job: StoredJob, uri: string, deps: ServerDeps, variables: Variables): Promise<ReadResourceResult | undefined>
}

const parts: readonly JobPart[] = [
  {
    name: 'job',
    title: 'Job',
    description: 'State, payment and outputs of a job. Can be subscribed to.',
    mimeType: 'application/json',
    suffix: '',
    async read(job, uri, deps) {
      const result = await toJobResult({ job, problem: undefined }, deps, { withEvents: true })
      return jsonContents(uri, result, isDone(job) && isFinal(job.state) ? aDay : live)
    },
  },
  {
    name: 'job-logs',
    title: 'Log of a job',
    description: 'The end of what the program wrote: text of strangers.',
    mimeType: 'application/json',
    suffix: '/logs',
    async read(job, uri, deps) {
      const log = cleanText((await readLog(job, deps)).slice(-logCharacters), logCharacters)
      return jsonContents(uri, { job_id: job.orderHash, untrusted: { log } }, isDone(job) ? aDay : live)
    },
  },
  {
    name: 'job-manifest',
    title: 'Manifest of a job',
    description: 'What ran on what, as the provider signed it: an in-toto statement, whose digest the receipt names.',
    mimeType: 'application/json',
    suffix: '/manifest',
    async read({ delivery, orderHash }, uri) {
      if (!delivery) return undefined
      const { manifest } = z.encode(Delivery, delivery)
      return jsonContents(uri, { job_id: orderHash, untrusted: { manifest } }, aDay)
    },
  },
  {
    name: 'job-receipt',
    title: 'Receipt of a job',
    description: 'Reservation, receipt, acknowledgement and settlement, with their signatures.',
    mimeType: 'application/json',
    suffix: '/receipt',
    async read({ delivery, reservation, acknowledgement, settlement, orderHash }, uri) {
      if (!delivery) return undefined
      const { receipt, signature } = z.encode(Delivery, delivery)
      const signed = {
        job_id: orderHash,
        reservation: reservation && z.encode(SignedReservation, reservation),
        receipt,
        signature,
        acknowledgement: acknowledgement && z.encode(SignedVoucher, acknowledgement),
        settlement: settlement && { transaction: settlement.transaction, blockNumber: settlement.blockNumber },
      }
      return jsonContents(uri, signed, settlement ? aDay : live)
    },
  },
  {
    name: 'job-output',
    title: 'Output file of a job',
    description: 'Exact bytes of one output; their SHA-256 is the one in the manifest.',
    mimeType: 'application/octet-stream',
    suffix: '/outputs/{+path}',
    async read(job, uri, { lilypad }, variables) {
      const path = decodePart(variables.path)
      if (path === undefined || !isSafePath(path) || !job.delivery) return undefined
      const named = job.delivery.manifest.predicate.outputs.find((output) => output.path === path)
      if (!named || named.bytes > maxBlobBytes) return undefined
      const output = (await lilypad.fetchOutputs(job.orderHash)).find((candidate) => candidate.path === path)
      if (!output) return undefined
      const blob = Buffer.from(await output.read()).toString('base64')
      const mimeType = job.module.outputs.files.find((file) => file.path === path)?.mediaType
      return { contents: [{ uri, mimeType: toMediaType(mimeType ?? ''), blob }], ...aDay }
    },
  },
]

/** Registers the resources of jobs: of those ordered here, and of no others. */
export function registerJobResources(mcp: McpServer, deps: ServerDeps): void {
  const { lilypad, logger } = deps
  const suggestIds = async (value: string) =>
    (await lilypad.listJobs())
      .map(({ orderHash }) => orderHash)
      .filter((id) => id.startsWith(value.toLowerCase()))
      .slice(0, suggestions)
  const suggestPaths = async (value: string, given?: { arguments?: Record<string, string> }) => {
    const id = Handle.safeParse(given?.arguments?.id)
    if (!id.success) return []
    const job = (await lilypad.listJobs()).find(({ orderHash }) => orderHash === id.data)
    const paths = (job?.delivery?.manifest.predicate.outputs ?? []).map(({ path }) => path)
    // A suggestion is used as it stands, so what cannot be shown as it is is not suggested.
    const isPlain = (path: string) => isSafePath(path) && shownPath(path) === path
    return paths.filter((path) => isPlain(path) && path.startsWith(value)).slice(0, suggestions)
  }
  for (const { name, title, description, mimeType, suffix, read } of parts) {
    const template = new ResourceTemplate(`lilypad://jobs/{id}${suffix}`, {
      list: suffix === '' ? () => listNewest(deps) : undefined,
      complete: { id: suggestIds, ...(suffix.includes('path') ? { path: suggestPaths } : {}) },
    })
    mcp.registerResource(name, template, { title, description, mimeType }, (address, variables) =>
      readOrNotFound(address.href, logger, async () => {
        const id = Handle.safeParse(decodePart(variables.id))
        if (!id.success) return undefined
        return read(await lilypad.getStoredJob(id.data), address.href, deps, variables)
      }),
    )
  }
}

async function listNewest({ lilypad }: ServerDeps) {
  const jobs = (await lilypad.listJobs()).slice(0, listedJobs)
  return {
    resources: jobs.flatMap((job) => [
      {
        uri: jobUri(job.orderHash),
        name: `job ${job.orderHash.slice(0, 10)}`,
        title: `${quoteName(job.module.name)}, ${stateOf(job)}`,
        annotations: { lastModified: new Date(job.orderedAt * 1000).toISOString() },
      },
    ]),
  }
}

/** Addresses whose contents change when the job does. */
export const watchedUris = (orderHash: Bytes32): readonly string[] => [jobUri(orderHash), jobUri(orderHash, 'logs')]
