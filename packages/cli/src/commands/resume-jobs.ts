import { join, resolve } from 'node:path'
import { type Bytes32, toLilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount, type Lilypad } from '@lilypad-agents/sdk'
import type { Printer } from '../output/printer.ts'
import { writeJobFiles } from './run-module.ts'

/** Finishes the jobs a crash, a timeout or a Ctrl-C left open, and writes their outputs where `run` would have. */
export async function resumeJobs(lilypad: Lilypad, outputDirectory: string, printer: Printer): Promise<void> {
  const wasOpen = new Set((await lilypad.listJobs()).filter((job) => job.price === null).map((job) => job.orderHash))
  const failures = await lilypad.resume({ timeoutSeconds: 60 })
  const finished: { job: Bytes32; price: bigint; receipt: string }[] = []
  for (const job of await lilypad.listJobs()) {
    if (!wasOpen.has(job.orderHash) || job.price === null || job.delivery?.receipt.status !== 0) continue
    const directory = join(resolve(outputDirectory), job.orderHash.slice(2, 14))
    const receipt = await writeJobFiles(lilypad, job.orderHash, directory)
    finished.push({ job: job.orderHash, price: job.price, receipt })
  }
  const open = failures.map(({ orderHash, error }) => ({ job: orderHash, code: toLilypadError(error).code }))
  printer.result({ finished, open }, [
    ...finished.map(({ job, price, receipt }) => `  finished ${job}, ${formatTokenAmount(price)} LILY, ${receipt}`),
    ...open.map(({ job, code }) => `  open     ${job} ${code}`),
    ...(finished.length + open.length === 0 ? ['  nothing was open'] : []),
  ])
}
