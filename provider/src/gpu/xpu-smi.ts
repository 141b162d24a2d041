import type { Gpu } from './gpu.ts'
import { asObject, cleanFact, findBytes, findJsonObject, type ToolReading } from './tool-reading.ts'

export const xpuList = ['discovery', '--json'] as const
export const xpuDetails = (id: number) => ['discovery', '--device', String(id), '--json']

const maxDevices = 64

/** Numbers of the GPUs in `xpu-smi discovery`. Virtual functions are parts of a card without memory of their own account. */
export function parseXpuIds(text: string): ToolReading<number> {
  const list = findJsonObject(text)?.device_list
  if (!Array.isArray(list)) return { found: [], problems: ['xpu-smi did not answer with a list of devices'] }
  const found = list.slice(0, maxDevices).flatMap((entry) => {
    const device = asObject(entry)
    const id = device?.device_id
    const isCard = device?.device_type === 'GPU' && (device.device_function_type ?? 'physical') === 'physical'
    return isCard && typeof id === 'number' && Number.isInteger(id) && id >= 0 ? [id] : []
  })
  return { found, problems: [] }
}

/** Reads `xpu-smi discovery --device <id>`. */
export function parseXpuCard(text: string): ToolReading<Gpu> {
  const device = findJsonObject(text)
  const uuid = device?.uuid
  const memoryBytes = findBytes(device?.memory_physical_size_byte)
  if (typeof uuid !== 'string' || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid))
    return { found: [], problems: ['xpu-smi does not say what a device is called'] }
  if (memoryBytes === undefined) return { found: [], problems: [`xpu-smi does not say how much memory ${uuid} has`] }
  const text128 = (value: unknown, otherwise: string) => (typeof value === 'string' ? cleanFact(value) : otherwise)
  return {
    found: [
      {
        uuid,
        vendor: 'intel',
        name: text128(device?.device_name, 'Intel GPU'),
        memoryBytes,
        driver: text128(device?.driver_version, 'unknown'),
      },
    ],
    problems: [],
  }
}
