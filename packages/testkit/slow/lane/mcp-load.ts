import type { Bytes32 } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { pause } from './pause.ts'

const QuoteAnswer = z.object({ quote_id: z.string() })
const JobAnswer = z.object({ job_id: z.string(), state: z.string(), done: z.boolean(), payment: z.string() })
export type JobAnswer = z.output<typeof JobAnswer>

/** The tool answered, and its answer was an error. */
class ToolError extends Error {}

const RpcAnswer = z.object({
  id: z.number(),
  result: z.object({ isError: z.boolean().optional(), structuredContent: z.unknown(), content: z.unknown() }),
})

/** Calls one tool in a request of its own, as an agent does after its server was started again. */
async function callTool(url: string, name: string, args: Record<string, unknown>): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }),
    signal: AbortSignal.timeout(40_000),
  })
  const text = await response.text()
  const data = text.startsWith('{')
    ? text
    : (text
        .split('\n')
        .findLast((line) => line.startsWith('data:'))
        ?.slice(5) ?? '')
  const { result } = RpcAnswer.parse(JSON.parse(data))
  if (result.isError) throw new ToolError(JSON.stringify(result.structuredContent ?? result.content))
  return result.structuredContent
}

/** Reads a job of the MCP server. */
export async function getMcpJob(url: string, orderHash: string): Promise<JobAnswer> {
  return JobAnswer.parse(await callTool(url, 'lilypad_get_job', { job_id: orderHash, wait_s: 0 }))
}

/** An agent that buys one job after the other over MCP, and repeats each call until the server has answered it. */
export async function buyOverMcp(options: {
  readonly url: string
  readonly signal: AbortSignal
  readonly promise: (promise: string) => void
}): Promise<void> {
  const { url, signal, promise } = options
  const insist = async <T>(call: () => Promise<T>): Promise<T | undefined> => {
    while (!signal.aborted) {
      try {
        return await call()
      } catch {
        await pause(300)
      }
    }
    return undefined
  }
  for (let turn = 0; !signal.aborted; turn += 1) {
    const module = turn % 4 === 0 ? 'lane-slow' : 'lane-echo'
    const quoted = await insist(async () =>
      QuoteAnswer.parse(await callTool(url, 'lilypad_quote_job', { module, inputs: { text: `agent ${turn}` } })),
    )
    if (!quoted) return
    // The same quote again is the same job, however often the answer is lost.
    const placed = await insist(async () =>
      JobAnswer.parse(await callTool(url, 'lilypad_run_job', { quote_id: quoted.quote_id, wait_s: 5 })),
    )
    if (!placed) return
    promise(`ordered ${placed.job_id as Bytes32}`)
    await pause(200)
  }
}
