import { mkdirSync } from 'node:fs'
import { hasOpenJobs } from '@lilypad-agents/sdk/node'
import { McpServer, type Server } from '@modelcontextprotocol/server'
import type { ToolCalls } from './tool/tool-calls.ts'
import { lateApprovalGate } from './approval/late-approval-gate.ts'
import { maySpend, type McpConfig } from './config/config.ts'
import { toolList } from './generated/tool-list.ts'
import { instructions } from './instructions.ts'
import { createJobKeeper } from './job/job-keeper.ts'
import { createJobWatch } from './job/job-watch.ts'
import { lateLilypad } from './lilypad/late-lilypad.ts'
import { failureFacts, type Logger } from './log/logger.ts'
import { describePin } from './pins/describe-pin.ts'
import { createPinShelf } from './pins/pin-shelf.ts'
import { createPrompts } from './prompts/create-prompts.ts'
import { registerJobResources, watchedUris } from './resources/job-resources.ts'
import { registerNetworkResources } from './resources/network-resources.ts'
import { serveSubscriptions } from './resources/serve-subscriptions.ts'
import { loadSkills } from './skills/load-skills.ts'
import { serveTasks } from './tasks/serve-tasks.ts'
import type { TaskSource } from './tasks/task.ts'
import type { ServerDeps } from './tool/tool-context.ts'
import { listTools } from './tools/list-tools.ts'
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

const readOnlyTools: ReadonlySet<string> = new Set(
  toolList.filter(({ tool }) => tool.annotations?.readOnlyHint === true).map(({ tool }) => tool.name),
)
const listTtlMilliseconds = 60 * 60 * 1000
const list = { ttlMs: listTtlMilliseconds, cacheScope: 'private' } as const

/**
 * Takes up open jobs, and is ready to serve. Nothing goes over the network unless a job is open, and what calls need (chain, signing,
 * verification, tools) is read at the first of them.
 */
export function createMcpApp(config: McpConfig, logger: Logger): McpApp {
  // Here rather than at the first call, so that a folder that cannot be used is told to the person who starts the server.
  mkdirSync(config.stateDirectory, { recursive: true, mode: 0o700 })
  const lilypad = lateLilypad(config)
  const watch = createJobWatch({ lilypad, logger })
  const keeper = createJobKeeper({ lilypad, logger, watch })
  const pinShelf = createPinShelf({ pins: config.pins ?? [], directory: config.stateDirectory, lilypad, logger })
  const approvals = lateApprovalGate(config)
  const paid = latePaid({ config, lilypad, logger })
  const deps: ServerDeps = { config, lilypad, keeper, watch, approvals, logger, ...(paid ? { paid } : {}) }
  const listed = listTools(config, paid !== undefined)
  const canBuy = maySpend(config)
  const listPins = () => (canBuy ? pinShelf.pins.map((pin) => describePin(pin, pinShelf.find(pin))) : [])
  const toolListeners = new Set<() => void>()
  const effectListeners = new Set<(effect: Effect) => void>()
  const registerPrompts = createPrompts(deps)
  let opening: Promise<ToolCalls> | undefined
  const openCalls = () => {
    opening ??= import('./tool/tool-calls.ts').then(({ createToolCalls }) => {
      if (canBuy) void refreshPins()
      return createToolCalls(deps, pinShelf)
    })
    return opening
  }
  async function refreshPins(): Promise<void> {
    if (await pinShelf.refresh()) for (const listener of toolListeners) listener()
  }
  const tasks: TaskSource = {
    find: async (taskId) => (await openCalls()).tasks.find(taskId),
    update: async (taskId, answers) => (await openCalls()).tasks.update(taskId, answers),
    async cancel(taskId) {
      const isKnown = await (await openCalls()).tasks.cancel(taskId)
      tell({
        tool: 'tasks/cancel',
        arguments: { job_id: taskId },
        result: isKnown ? {} : { error: { code: 'JOB_UNKNOWN' } },
      })
      return isKnown
    },
  }
  if (hasOpenJobs(config.stateDirectory))
    keeper.resume().catch((error: unknown) => logger.error(failureFacts(error), 'open jobs could not be taken up'))

  function serveTools(server: Server, { era, isLasting }: Serving): void {
    const tellsChanges = isLasting && canBuy && pinShelf.pins.length > 0
    server.registerCapabilities({ tools: tellsChanges ? { listChanged: true } : {} })
    if (tellsChanges) {
      const listener = () =>
        void server.sendToolListChanged().catch((error: unknown) => {
          logger.debug(failureFacts(error), 'a change of the tools was not told')
          toolListeners.delete(listener)
        })
      toolListeners.add(listener)
    }
    server.setRequestHandler('tools/list', () => ({ tools: [...listed, ...listPins()] }))
    server.setRequestHandler('tools/call', async ({ params }, context) => {
      const calls = await openCalls()
      const result = await calls.call(params.name, params.arguments, { context, server, era })
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
            // A client that keeps the list would not see what a pinned module takes once that is known.
            'tools/list': canBuy && pinShelf.pins.some((pin) => !pinShelf.find(pin)) ? { ...list, ttlMs: 0 } : list,
            'prompts/list': list,
            'resources/templates/list': list,
            'server/discover': list,
          },
        },
      )
      serveTools(mcp.server, { era, isLasting })
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
      if (opening) (await opening).close()
      await approvals.close()
      await paid?.close()
      await lilypad.close()
    },
  }

  function hasEffect(name: string): boolean {
    return !readOnlyTools.has(name)
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
