import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ModuleLimits, type ModuleRuntime, sha256 } from '@lilypad-agents/protocol'
import { ServerExecutor } from '@lilypad-agents/provider'
import { Pool } from 'undici'
import { inFolder } from '../job/job-market.ts'

const program = fileURLToPath(new URL('../../../provider/fixtures/openai-server.mjs', import.meta.url))
const path = '/v1/chat/completions'
const limits: ModuleLimits = {
  timeoutSeconds: 30,
  memoryBytes: 268_435_456,
  cpuMillis: 1000,
  outputBytes: 1_048_576,
  outputFiles: 1,
  logBytes: 4096,
  scratchBytes: 65_536,
  pids: 32,
}
const runtime: ModuleRuntime = {
  kind: 'container',
  image: { digest: `sha256:${'0'.repeat(64)}`, reference: 'bench/parrot' },
  args: [],
  stdin: 'none',
  env: {},
  server: {
    protocol: 'openai-chat',
    path,
    readyPath: '/health',
    input: 'request',
    concurrency: 4,
    startSeconds: 30,
    idleSeconds: 600,
    maxInputUnits: 4096,
    maxOutputUnits: 256,
  },
}

/** One server of OpenAI's shape that answers at once, asked through the provider's executor and by itself. */
export type ServerWorkbench = {
  /** Milliseconds of a request, or of a streamed one until its first bytes. */
  throughExecutor(isStreamed: boolean): Promise<number>
  direct(isStreamed: boolean): Promise<number>
}

export const directName = 'the same server asked over its socket by the same HTTP client'

/** Gives a workbench with a running server to the work. */
export function onServerWorkbench<T>(work: (bench: ServerWorkbench) => Promise<T>): Promise<T> {
  return inFolder(async (folder) => {
    const moduleVersion = sha256('bench')
    const stateDirectory = join(folder, 's')
    const executor = new ServerExecutor({
      stateDirectory,
      nodeId: `bench-${process.pid}`,
      hasContainers: false,
      trusted: { [moduleVersion]: program },
    })
    let client: Pool | undefined
    let jobs = 0
    const body = (stream: boolean) =>
      JSON.stringify({
        model: 'parrot',
        messages: [{ role: 'user', content: 'one two three four' }],
        stream,
        max_tokens: 64,
      })
    const bench: ServerWorkbench = {
      async throughExecutor(isStreamed) {
        const outputDirectory = join(folder, `job-${++jobs}`)
        await mkdir(outputDirectory)
        const request = body(isStreamed)
        let firstByte = Number.NaN
        const begin = performance.now()
        const { outcome, units } = await executor.run(
          {
            id: '0x',
            runtime,
            args: [],
            env: {},
            inputs: [],
            limits,
            outputDirectory,
            server: { moduleVersion, request, caps: { inputUnits: 1000, outputUnits: 64 }, isMetered: true },
          },
          {
            onResponse: () => {
              if (Number.isNaN(firstByte)) firstByte = performance.now() - begin
            },
          },
        )
        const whole = performance.now() - begin
        if (outcome.kind !== 'exited' || units?.outputUnits !== 4)
          throw new TypeError(`the job ended with ${JSON.stringify(outcome)}`)
        await rm(outputDirectory, { recursive: true })
        return isStreamed ? firstByte : whole
      },
      async direct(isStreamed) {
        const request = body(isStreamed)
        const begin = performance.now()
        const answer = await client?.request({
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json' },
          body: request,
        })
        let firstByte = Number.NaN
        const pieces: Uint8Array[] = []
        for await (const piece of answer?.body ?? []) {
          if (Number.isNaN(firstByte)) firstByte = performance.now() - begin
          pieces.push(piece)
        }
        if (!isStreamed) JSON.parse(Buffer.concat(pieces).toString())
        return isStreamed ? firstByte : performance.now() - begin
      },
    }
    try {
      await bench.throughExecutor(false)
      const [server = ''] = await readdir(join(stateDirectory, 'servers'))
      const socketPath = join(stateDirectory, 'servers', server, 'server.sock')
      client = new Pool('http://localhost', { socketPath, connections: 1 })
      return await work(bench)
    } finally {
      await client?.destroy()
      await executor.close()
    }
  })
}
