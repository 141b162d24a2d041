import type { Gpu } from './gpu.ts'
import { cleanFact, type ToolReading } from './tool-reading.ts'

const MiB = 1024 ** 2
const cardUuid = /^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const migUuid = /^MIG-[0-9A-Za-z/-]{1,100}$/
// What a field says when the card or driver has no answer: [N/A], [Not Supported], [Unknown Error], N/A.
const isMissing = (value: string) => value === '' || value === 'N/A' || /^\[.*\]$/.test(value)

/** Fields asked for, in this order; a driver that does not know one refuses them all, so the older list is asked for next. */
export const nvidiaFields = {
  current: ['uuid', 'name', 'memory.total', 'driver_version', 'compute_cap', 'mig.mode.current'],
  older: ['uuid', 'name', 'memory.total', 'driver_version'],
} as const
export const nvidiaQuery = (fields: readonly string[]) => [
  `--query-gpu=${fields.join(',')}`,
  '--format=csv,noheader,nounits',
]

/** A card as the query gives it. A card in MIG mode is not used itself, but through its instances. */
export type NvidiaCard = Gpu & { readonly isMigOn: boolean }

/** Reads `nvidia-smi --query-gpu`. Lines that are not of a card are reported, not guessed at. */
export function parseNvidiaCards(text: string, fields: readonly string[]): ToolReading<NvidiaCard> {
  const found: NvidiaCard[] = []
  const problems: string[] = []
  for (const line of text.split('\n').map((raw) => raw.trim())) {
    if (line === '' || /^No devices were found/i.test(line)) continue
    const card = toCard(splitFields(line, fields))
    if (typeof card === 'string') problems.push(card)
    else if (found.some(({ uuid }) => uuid === card.uuid)) problems.push('nvidia-smi names a card twice')
    else found.push(card)
  }
  return { found, problems }
}

/** Values by field. Only the name may hold a comma, so what is too much belongs to it. */
function splitFields(line: string, fields: readonly string[]): ReadonlyMap<string, string> {
  const values = line.split(',').map((value) => value.trim())
  const nameAt = fields.indexOf('name')
  const surplus = values.length - fields.length
  if (surplus > 0) values.splice(nameAt, surplus + 1, values.slice(nameAt, nameAt + surplus + 1).join(', '))
  return new Map(fields.map((field, index) => [field, values[index] ?? '']))
}

function toCard(values: ReadonlyMap<string, string>): NvidiaCard | string {
  const of = (field: string) => values.get(field) ?? ''
  const uuid = of('uuid')
  if (!cardUuid.test(uuid)) return 'nvidia-smi answered with a line that is not of a card'
  const memory = of('memory.total')
  // A card that shares the machine's memory says [N/A]: there is nothing to keep an account of.
  if (!/^[1-9]\d{0,8}$/.test(memory)) return `nvidia-smi does not say how much memory ${uuid} has`
  const computeCapability = of('compute_cap')
  return {
    uuid,
    vendor: 'nvidia',
    name: cleanFact(of('name')),
    memoryBytes: Number(memory) * MiB,
    driver: isMissing(of('driver_version')) ? 'unknown' : cleanFact(of('driver_version')),
    ...(/^\d{1,2}\.\d$/.test(computeCapability) ? { computeCapability } : {}),
    isMigOn: of('mig.mode.current') === 'Enabled',
  }
}

/** A MIG instance as `nvidia-smi -L` lists it below its card. */
export type MigInstance = {
  readonly uuid: string
  readonly cardUuid: string
  readonly profile: string
  readonly index: number
}

/** Reads `nvidia-smi -L`. */
export function parseMigInstances(text: string): readonly MigInstance[] {
  const instances: MigInstance[] = []
  let card: string | undefined
  for (const line of text.split('\n')) {
    const cardLine = /^GPU \d+: .*\(UUID: (GPU-[0-9a-f-]+)\)\s*$/i.exec(line)
    if (cardLine) card = cardLine[1]
    const [, profile, index, uuid] = /^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (\S+)\)\s*$/.exec(line) ?? []
    if (card === undefined || profile === undefined || uuid === undefined || !migUuid.test(uuid)) continue
    instances.push({ uuid, cardUuid: card, profile, index: Number(index) })
  }
  return instances
}

/** Reads the memory of MIG instances, by `<card>/<index>`, from `nvidia-smi -q -x`, which is the only place that has it. */
export function parseMigMemory(xml: string): ReadonlyMap<string, number> {
  const memory = new Map<string, number>()
  for (const card of xml.split(/<gpu id=/).slice(1)) {
    const uuid = /<uuid>(GPU-[0-9a-f-]+)<\/uuid>/i.exec(card)?.[1]
    if (uuid === undefined) continue
    for (const device of card.split('<mig_device>').slice(1)) {
      const index = /<index>(\d+)<\/index>/.exec(device)?.[1]
      const total = /<fb_memory_usage>\s*<total>(\d{1,9}) MiB<\/total>/.exec(device)?.[1]
      if (index !== undefined && total !== undefined) memory.set(`${uuid}/${Number(index)}`, Number(total) * MiB)
    }
  }
  return memory
}

// The gigabytes in a profile's name are rounded up, on some cards by a ninth.
const profileShare = 0.85

/**
 * Puts the instances of cards in MIG mode in the place of the cards. Instances that share their memory with another
 * (`1c.3g.20gb`) are left out: nothing in hardware keeps one from taking what the other was promised.
 */
export function splitMigCards(
  cards: readonly NvidiaCard[],
  instances: readonly MigInstance[],
  memory: ReadonlyMap<string, number>,
): ToolReading<Gpu> {
  const problems: string[] = []
  const found = cards.flatMap(({ isMigOn, ...card }): readonly Gpu[] => {
    if (!isMigOn) return [card]
    const own = instances.filter(({ cardUuid }) => cardUuid === card.uuid)
    if (own.length === 0) problems.push(`${card.uuid} is in MIG mode and has no instances`)
    return own.flatMap(({ uuid, profile, index }) => {
      const [, gigabytes] = /^\d+g\.(\d{1,4})gb(?:[+-][\w.+-]+)?$/.exec(profile) ?? []
      if (gigabytes === undefined) {
        problems.push(`${uuid} shares its memory with other instances`)
        return []
      }
      const memoryBytes =
        memory.get(`${card.uuid}/${index}`) ?? Math.floor((Number(gigabytes) * 1e9 * profileShare) / MiB) * MiB
      return [{ ...card, uuid, name: `${card.name} MIG ${profile}`, memoryBytes, migOf: card.uuid }]
    })
  })
  return { found, problems }
}

/** Memory that a process has on a card. */
export type GpuProcess = { readonly pid: number; readonly uuid: string; readonly usedBytes: number }

export const nvidiaProcessQuery = ['--query-compute-apps=pid,gpu_uuid,used_memory', '--format=csv,noheader,nounits']

/** Reads `nvidia-smi --query-compute-apps`. Processes without a number, as in containers of other users, are left out. */
export function parseGpuProcesses(text: string): readonly GpuProcess[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, uuid, used] = /^(\d{1,10}), ((?:GPU|MIG)-[0-9A-Za-z/-]{1,100}), (\d{1,9})$/.exec(line.trim()) ?? []
    return uuid === undefined ? [] : [{ pid: Number(pid), uuid, usedBytes: Number(used) * MiB }]
  })
}
