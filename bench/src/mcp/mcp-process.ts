import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { McpProgram } from './mcp-program.ts'

const revision = '2025-11-25'
const answerSeconds = 60
/** Ticks of /proc in a second; the same on every Linux that Node runs on. */
const millisecondsPerTick = 10

/** A running MCP server that has answered `initialize`, spoken to without an SDK, whose own cost would be in the figures. */
export type McpProcess = {
  request(method: string, params?: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>
  /** CPU time of the process since it was started, all threads, user and system. In steps of 10. */
  cpuMilliseconds(): number
  residentMegabytes(): number
  close(): Promise<void>
}

type Answer = {
  readonly id?: number
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

/** Starts a server and opens it as most clients do. */
export async function startMcpProcess({ name, args }: Pick<McpProgram, 'name' | 'args'>): Promise<McpProcess> {
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, [...args], { env: { PATH, HOME }, stdio: ['pipe', 'pipe', 'ignore'] })
  const waiting = new Map<number, (answer: Answer) => void>()
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer: Answer = JSON.parse(line)
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
  })
  let last = 0
  const send = (message: Record<string, unknown>) =>
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const request: McpProcess['request'] = async (method, params = {}) => {
    last += 1
    const id = last
    const answer = await new Promise<Answer>((resolve, reject) => {
      const fail = (why: string) => reject(new TypeError(`${name} ${why} ${method}`))
      const timer = setTimeout(() => fail('did not answer'), answerSeconds * 1000)
      void exited.then(() => fail('ended before it answered'))
      waiting.set(id, (answer) => {
        clearTimeout(timer)
        waiting.delete(id)
        resolve(answer)
      })
      send({ id, method, params })
    })
    if (!answer.result) throw new TypeError(`${name} refused ${method}: ${answer.error?.message.slice(0, 200)}`)
    return answer.result
  }
  const clientInfo = { name: 'bench', version: '1.0.0' }
  await request('initialize', { protocolVersion: revision, capabilities: {}, clientInfo })
  send({ method: 'notifications/initialized' })
  return {
    request,
    cpuMilliseconds() {
      // The name of the program, in brackets, may hold spaces.
      const [, fields = ''] = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')
      const [user, system] = fields.split(' ').slice(11, 13).map(Number)
      return ((user ?? 0) + (system ?? 0)) * millisecondsPerTick
    },
    residentMegabytes() {
      const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
      return Number(kibibytes) / 1024
    },
    async close() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
      await exited
      clearTimeout(timer)
    },
  }
}
