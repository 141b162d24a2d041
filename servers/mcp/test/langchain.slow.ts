// A4: the published server behind LangChain's adapters: list, run, wait, image, error, progress. They speak the old era only.
//
//   LILYPAD_LANGCHAIN   a folder whose node_modules has the adapters already; they are installed when it is not set
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { keccak256, ModuleManifest } from '@lilypad-agents/protocol'
import { encode } from 'fast-png'
import { sampleModule } from '../../../packages/sdk/test/sample-bundle.ts'
import { honestPlay, startStubNetwork } from '../../../packages/sdk/test/stub-network.ts'
import { bundleFile } from './clients.ts'

const packages = ['@langchain/mcp-adapters@1.1.4', '@langchain/core@1.4.0']
const scratch = mkdtempSync(join(tmpdir(), 'lilypad-langchain-'))

type Block = { readonly type: string; readonly data?: string; readonly mimeType?: string; readonly url?: string }
type Message = { readonly content: string | readonly Block[]; readonly artifact: readonly Block[] | undefined }
type LangChainTool = {
  readonly name: string
  readonly metadata: { readonly annotations?: { readonly readOnlyHint?: boolean } } | undefined
  invoke(call: unknown): Promise<Message>
}
type Adapters = {
  MultiServerMCPClient: new (
    options: unknown,
  ) => { getTools(): Promise<readonly LangChainTool[]>; close(): Promise<void> }
}

async function loadAdapters(): Promise<Adapters | undefined> {
  const folder = process.env.LILYPAD_LANGCHAIN ?? scratch
  if (folder === scratch) {
    const args = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--loglevel=error',
      '--no-audit',
      '--no-fund',
      ...packages,
    ]
    try {
      await promisify(execFile)('npm', args, { timeout: 240_000 })
    } catch (error) {
      process.stdout.write(`SKIPPED: the adapters could not be installed (${String(error).split('\n', 1)[0]})\n`)
      return undefined
    }
  }
  const { resolve } = createRequire(join(folder, 'package.json'))
  return import(pathToFileURL(resolve('@langchain/mcp-adapters')).href)
}

/** Ends the lane with what was expected and what came. */
function expectTrue(isTrue: boolean, what: string, value: unknown): void {
  if (!isTrue) throw new Error(`${what}: ${JSON.stringify(value)?.slice(0, 2000)}`)
}

/** The facts of a structured result, wherever the adapter put them; its text has to say the same. */
function factsOf({ content, artifact }: Message): Record<string, unknown> {
  const structured = artifact?.find(({ type }) => type === 'mcp_structured_content')?.data
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  expectTrue(structured !== undefined, 'the structured content is kept', { content, artifact })
  expectTrue(text.includes('summary'), 'the text is shown', content)
  return structured as unknown as Record<string, unknown>
}

async function drive({ MultiServerMCPClient }: Adapters): Promise<void> {
  const pixels = { width: 8, height: 8, channels: 3, depth: 8, data: new Uint8Array(8 * 8 * 3).fill(90) } as const
  const png = encode(pixels)
  const module = ModuleManifest.parse({
    ...JSON.parse(JSON.stringify(sampleModule, (_, value) => (typeof value === 'bigint' ? String(value) : value))),
    outputs: {
      files: [
        { path: 'out.txt', mediaType: 'text/plain', title: 'Text' },
        { path: 'picture.png', mediaType: 'image/png', title: 'Picture' },
      ],
      result: null,
    },
  })
  const network = await startStubNetwork([module])
  network.play = { ...honestPlay, outputs: { ...honestPlay.outputs, 'picture.png': png } }
  const files = { network: join(scratch, 'network.json'), key: join(scratch, 'key') }
  writeFileSync(files.network, JSON.stringify(network.network))
  writeFileSync(files.key, `${keccak256('sample session')}\n`, { mode: 0o600 })
  const told: { readonly progress: number }[] = []
  const client = new MultiServerMCPClient({
    mcpServers: {
      lilypad: {
        transport: 'stdio',
        command: process.execPath,
        args: [
          bundleFile,
          '--network',
          files.network,
          '--key-file',
          files.key,
          '--state-dir',
          join(scratch, 'state'),
          '--approval',
          'host',
        ],
        stderr: 'ignore',
      },
    },
    useStandardContentBlocks: true,
    onProgress: (progress: { readonly progress: number }) => told.push(progress),
  })
  try {
    const tools = await client.getTools()
    const byName = new Map(tools.map((tool) => [tool.name, tool]))
    expectTrue(tools.length === 11, 'every tool is listed', [...byName.keys()])
    expectTrue(
      tools.every(({ metadata }) => typeof metadata?.annotations?.readOnlyHint === 'boolean'),
      'the hints come with them',
      tools[0]?.metadata,
    )
    let calls = 0
    const call = async (name: string, args: unknown) => {
      const tool = byName.get(name)
      if (!tool) throw new Error(`there is no ${name}`)
      calls += 1
      return tool.invoke({ type: 'tool_call', id: `call ${calls}`, name, args })
    }

    const { quote_id } = factsOf(await call('lilypad_quote_job', { module: 'sample', inputs: { text: 'hi' } }))
    const ran = factsOf(await call('lilypad_run_job', { quote_id, wait_s: 10 }))
    expectTrue(ran.done === true && ran.verified === true && ran.charged === '0.001', 'run', ran)
    const again = factsOf(await call('lilypad_run_job', { quote_id, wait_s: 0 }))
    expectTrue(again.job_id === ran.job_id && network.orders() === 1, 'the same quote again', again)

    const read = await call('lilypad_get_outputs', { job_id: ran.job_id })
    const blocks = JSON.stringify([read.content, read.artifact])
    expectTrue(blocks.includes(Buffer.from(png).toString('base64')), 'the image reaches the model', blocks)
    expectTrue(blocks.includes(`lilypad://jobs/${ran.job_id}/outputs/picture.png`), 'the link to the file does', blocks)

    network.play = { ...network.play, end: 'running' }
    const next = factsOf(await call('lilypad_quote_job', { module: 'sample', inputs: { text: 'ho' } }))
    const started = factsOf(await call('lilypad_run_job', { quote_id: next.quote_id, wait_s: 0 }))
    expectTrue(started.done === false, 'a job that goes on is handed back', started)
    setTimeout(() => network.deliver(String(started.job_id)), 6000)
    told.length = 0
    const waited = factsOf(await call('lilypad_get_job', { job_id: started.job_id, wait_s: 30 }))
    expectTrue(waited.done === true && waited.verified === true, 'wait', waited)
    const isRising = told.every(({ progress }, at) => at === 0 || progress > (told[at - 1]?.progress ?? 0))
    expectTrue(told.length >= 2 && isRising, 'progress is told, and rises', told)

    const refusal = await call('lilypad_get_job', { job_id: `0x${'9'.repeat(64)}` }).then(JSON.stringify, String)
    expectTrue(
      refusal.includes('JOB_UNKNOWN') && refusal.includes('lilypad_list_jobs'),
      'an error and its fix',
      refusal,
    )
    const misfit = await call('lilypad_get_job', { job_id: 7, surprise: true }).then(JSON.stringify, String)
    expectTrue(/INVALID_REQUEST|schema/i.test(misfit), 'arguments that do not fit', misfit)
    process.stdout.write(
      `${tools.length} tools, ${calls} calls, ${told.length} times told of progress: all as it should be\n`,
    )
  } finally {
    await client.close()
    await network.close()
  }
}

try {
  const adapters = await loadAdapters()
  if (adapters) await drive(adapters)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
