import { createLilypad } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import {
  type CallToolResult,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { createApprovalGate } from './approval/approval-gate.ts'
import { type Asking, askingOf, noAsking } from './approval/asking.ts'
import { enforcedPolicy, type McpConfig } from './config/config.ts'
import { instructions } from './instructions.ts'
import { createJobKeeper } from './job/job-keeper.ts'
import { JobResult } from './job/job-result.ts'
import { createJobWatch } from './job/job-watch.ts'
import { failureFacts, type Logger } from './log/logger.ts'
import { createPrompts } from './prompts/create-prompts.ts'
import { registerJobResources, watchedUris } from './resources/job-resources.ts'
import { registerNetworkResources } from './resources/network-resources.ts'
import { serveSubscriptions } from './resources/serve-subscriptions.ts'
import { loadSkills } from './skills/load-skills.ts'
import { createJobTasks, toTask } from './tasks/job-tasks.ts'
import type { TaskSource } from './tasks/task.ts'
import { declaresTasks, serveTasks, toTaskResult } from './tasks/serve-tasks.ts'
import type { ServerDeps, ToolContext } from './tool/tool-context.ts'
import { paidTools, tools } from './tools/index.ts'
import { Handle } from './tools/module-reference.ts'
import { runJob } from './tools/run-job.ts'
import { icon } from './ui/icon.ts'
import { latePaid } from './x402/buy/late-paid.ts'
import { version } from './version.ts'

/** How a protocol server is used that the app makes. */
export type Serving = {
  readonly era: 'legacy' | 'modern'
  /** Whether it lives as long as a connection, so that changes can be told over it. */
  readonly isLasting: boolean
}

/** One process's client, jobs and tools, and what makes a protocol server over them for each connection or request. */
export type McpApp = {
  createServer(serving: Serving): Promise<McpServer>
  /** Calls the listener with the address of each resource that changed. */
  onResourceChange(listener: (uri: string) => void): () => void
  /** Calls the listener after each call of a tool that changes something, and of `tasks/cancel`. */
  onEffect(listener: (effect: Effect) => void): () => void
  /** Whether a call of this tool may change something: every tool may that does not say otherwise. */
  hasEffect(tool: string): boolean
  /** Whether jobs are being brought to their end. */
  isBusy(): boolean
  close(): Promise<void>
}

/** A call that may have changed something. */
export type Effect = {
  readonly tool: string
  /** As they came. */
  readonly arguments: unknown
  readonly result: unknown
}

const Placed = JobResult.pick({ done: true }).extend({ job_id: Handle })
const listTtlMilliseconds = 60 * 60 * 1000
const list = { ttlMs: listTtlMilliseconds, cacheScope: 'private' } as const

/** Opens the state folder, takes up open jobs, and is ready to serve. Nothing goes over the network unless a job is open. */
export function createMcpApp(config: McpConfig, logger: Logger): McpApp {
  const { network, signer, grant } = config
  const policy = enforcedPolicy(config)
  const store = sqliteStore(config.stateDirectory)
  const lilypad = createLilypad({ network, store, ...(signer ? { signer, policy } : {}), ...(grant ? { grant } : {}) })
  const watch = createJobWatch({ lilypad, logger })
  const keeper = createJobKeeper({ lilypad, logger, watch })
  const approvals = createApprovalGate({ config, network, store })
  const paid = latePaid({ config, lilypad, logger })
  const deps: ServerDeps = { config, lilypad, keeper, watch, approvals, logger, ...(paid ? { paid } : {}) }
  const offered = paid ? [...tools, ...paidTools] : tools
  const byName = new Map(offered.map((tool) => [tool.name, tool]))
  const listed = offered.filter((tool) => signer || !tool.needsKey)
  let readOnly: ReadonlySet<string> | undefined
  const effectListeners = new Set<(effect: Effect) => void>()
  const jobTasks = createJobTasks({
    ...deps,
    signal: new AbortController().signal,
    asking: noAsking,
    report: () => undefined,
  })
  const tasks: TaskSource = {
    ...jobTasks,
    async cancel(taskId) {
      const isKnown = await jobTasks.cancel(taskId)
      tell({
        tool: 'tasks/cancel',
        arguments: { job_id: taskId },
        result: isKnown ? {} : { error: { code: 'JOB_UNKNOWN' } },
      })
      return isKnown
    },
  }
  const registerPrompts = createPrompts(deps)
  let described: ReturnType<(typeof tools)[number]['describe']>[] | undefined
  keeper.resume().catch((error: unknown) => logger.error(failureFacts(error), 'open jobs could not be taken up'))

  async function callTool(
    name: string,
    given: unknown,
    context: ServerContext,
    asking: Asking,
  ): Promise<CallToolResult> {
    const tool = byName.get(name)
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${name.slice(0, 128)} not found`)
    const startedAt = performance.now()
    const { signal } = context.mcpReq
    const toolContext: ToolContext = { ...deps, signal, asking, report: createReport(context, logger) }
    const isTask = tool === runJob && declaresTasks(context)
    const result = isTask ? await runAsTask(given, toolContext) : await tool.call(given, toolContext)
    const ms = Math.round(performance.now() - startedAt)
    logger.debug({ tool: tool.name, isError: result.isError ?? false, ms }, 'tool called')
    return result
  }

  /** Orders the job. One that is over at once is answered as without tasks; of one that goes on, the client gets the task. */
  async function runAsTask(given: unknown, context: ToolContext): Promise<CallToolResult> {
    const asked = typeof given === 'object' && given !== null ? given : {}
    const result = await runJob.call({ ...asked, wait_s: 0 }, context)
    const placed = Placed.safeParse(result.structuredContent)
    if (result.isError || !placed.success || placed.data.done) return result
    const job = await lilypad.getStoredJob(placed.data.job_id)
    // The wire has results of this kind; the type of a tool's answer does not know them yet.
    return toTaskResult(await toTask(job, watch, async () => result)) as unknown as CallToolResult
  }

  function serveTools(server: Server, era: Serving['era']): void {
    server.registerCapabilities({ tools: {} })
    server.setRequestHandler('tools/list', () => {
      described ??= listed.map((tool) => tool.describe(config))
      return { tools: described }
    })
    server.setRequestHandler('tools/call', async ({ params }, context) => {
      const result = await callTool(params.name, params.arguments, context, askingOf(context, server, era))
      // A question to a person has no effect yet.
      if (hasEffect(params.name) && !('inputRequests' in result))
        tell({ tool: params.name, arguments: params.arguments, result: result.structuredContent })
      return result
    })
  }

  return {
    async createServer({ era, isLasting }) {
      const mcp = new McpServer(
        { name: 'lilypad', title: 'Lilypad', version, icons: [icon] },
        {
          capabilities: { resources: { subscribe: true, listChanged: false }, prompts: { listChanged: false } },
          instructions: instructions(config),
          cacheHints: {
            'tools/list': list,
            'prompts/list': list,
            'resources/templates/list': list,
            'server/discover': list,
          },
        },
      )
      serveTools(mcp.server, era)
      registerNetworkResources(mcp, deps)
      registerJobResources(mcp, deps)
      registerPrompts(mcp)
      ;(await loadSkills()).attach(mcp)
      if (era === 'modern') serveTasks(mcp.server, tasks)
      if (isLasting || era === 'legacy') {
        // A server for one request is gone before anything can change.
        const listen = isLasting ? onResourceChange : () => () => undefined
        serveSubscriptions(mcp.server, { era, listen, logger })
      }
      return mcp
    },
    onResourceChange,
    onEffect(listener) {
      effectListeners.add(listener)
      return () => effectListeners.delete(listener)
    },
    hasEffect,
    isBusy: () => keeper.isBusy(),
    async close() {
      keeper.close()
      watch.close()
      await approvals.close()
      await paid?.close()
      await store.close()
    },
  }

  function hasEffect(name: string): boolean {
    readOnly ??= new Set(
      tools.filter((tool) => tool.describe(config).annotations?.readOnlyHint === true).map((tool) => tool.name),
    )
    return !readOnly.has(name)
  }

  function tell(effect: Effect): void {
    for (const listener of effectListeners) listener(effect)
  }

  function onResourceChange(listener: (uri: string) => void): () => void {
    return watch.onChange((orderHash) => {
      for (const uri of watchedUris(orderHash)) listener(uri)
    })
  }
}

/** Tells the client how a call goes, in numbers that only rise, if it gave a token for that. */
export function createReport({ mcpReq }: ServerContext, logger: Logger): (message: string) => void {
  // The token stands in the envelope of the request; without one nothing may be sent.
  const progressToken = mcpReq._meta?.progressToken
  if (progressToken === undefined) return () => undefined
  const startedAt = Date.now()
  let last = -1
  return (message) => {
    last = Math.max(last + 1, Math.round((Date.now() - startedAt) / 1000))
    const params = { progressToken, progress: last, message }
    mcpReq
      .notify({ method: 'notifications/progress', params })
      .catch((error: unknown) => logger.debug(failureFacts(error), 'progress not told'))
  }
}
