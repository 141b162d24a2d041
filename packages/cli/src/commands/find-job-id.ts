import { Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'

/** Id of a job from what a person typed: the whole id, or the first six digits or more of one ordered from here. */
export async function findJobId(lilypad: Lilypad, text: string): Promise<Bytes32> {
  const digits = text.toLowerCase().replace(/^0x/, '')
  const whole = Bytes32.safeParse(`0x${digits}`)
  if (whole.success) return whole.data
  const isPrefix = /^[0-9a-f]{6,63}$/.test(digits)
  const found = isPrefix ? (await lilypad.listJobs()).filter((job) => job.orderHash.slice(2).startsWith(digits)) : []
  const [job] = found
  if (job && found.length === 1) return job.orderHash
  throw new LilypadError('JOB_UNKNOWN', 'This is neither a file nor the id of a job ordered from here.', {
    details: [`Given: ${JSON.stringify(text.slice(0, 120))}`],
    hint: '`lilypad jobs` lists the jobs; the first six digits of an id are enough',
  })
}
