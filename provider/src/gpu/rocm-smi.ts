import type { Gpu } from './gpu.ts'
import { asObject, cleanFact, findBytes, findJsonObject, type ToolReading } from './tool-reading.ts'

export const rocmQuery = [
  '--showuniqueid',
  '--showproductname',
  '--showmeminfo',
  'vram',
  '--showdriverversion',
  '--json',
] as const

/** Reads `rocm-smi --json`, whose keys change their capitals between versions. */
export function parseRocmCards(text: string): ToolReading<Gpu> {
  const answer = findJsonObject(text)
  if (answer === undefined) return { found: [], problems: ['rocm-smi did not answer with JSON'] }
  const found: Gpu[] = []
  const problems: string[] = []
  const driver = cleanFact(findValue(asObject(answer.system), 'driver version') ?? 'unknown')
  for (const [key, value] of Object.entries(answer)) {
    if (!/^card\d{1,4}$/.test(key)) continue
    const card = asObject(value)
    const uuid = findValue(card, 'unique id')
    const memoryBytes = findBytes(findValue(card, 'vram total memory (b)'))
    if (uuid === undefined || !/^(0x)?[0-9a-f]{8,16}$/i.test(uuid)) {
      problems.push(`rocm-smi does not say what ${key} is called`)
    } else if (memoryBytes === undefined) {
      problems.push(`rocm-smi does not say how much memory ${key} has`)
    } else {
      const computeCapability = findValue(card, 'gfx version')
      found.push({
        uuid,
        vendor: 'amd',
        name: cleanFact(findValue(card, 'card series') ?? findValue(card, 'device name') ?? 'AMD GPU'),
        memoryBytes,
        driver,
        ...(computeCapability !== undefined && /^gfx[0-9a-f]{3,5}$/.test(computeCapability)
          ? { computeCapability }
          : {}),
      })
    }
  }
  return { found, problems }
}

function findValue(object: Readonly<Record<string, unknown>> | undefined, name: string): string | undefined {
  const entry = Object.entries(object ?? {}).find(([key]) => key.toLowerCase() === name)
  return typeof entry?.[1] === 'string' && entry[1] !== 'N/A' ? entry[1] : undefined
}
