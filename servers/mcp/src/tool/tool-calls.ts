import {
  type CallToolResult,
  ProtocolError,
  ProtocolErrorCode,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { askingOf, noAsking } from '../approval/asking.ts'
import { JobResult } from '../job/job-result.ts'
import { createJobTasks, toTask } from '../tasks/job-tasks.ts'
import { declaresTasks, toTaskResult } from '../tasks/serve-tasks.ts'
import type { TaskSource } from '../tasks/task.ts'
import { openPinnedCalls } from '../pins/pinned-calls.ts'
import type { Pin } from '../pins/pin.ts'
import type { PinShelf } from '../pins/pin-shelf.ts'
import { quotePinnedCall } from '../pins/quote-pinned-call.ts'
import { paidTools, tools } from '../tools/index.ts'
import { Handle } from '../tools/module-reference.ts'
import { runJob } from '../tools/run-job.ts'
import { isSelected } from '../tools/tool-selection.ts'
import { assertMayCall, toErrorResult } from './define-tool.ts'
import { createReport } from './create-report.ts'
import type { ServerDeps, ToolContext } from './tool-context.ts'

/** Who calls a tool: the call, and the server that can ask its client something. */
export type Caller = {
  readonly context: ServerContext
  readonly server: Server
  readonly era: 'legacy' | 'modern'
}

/** Answers calls of tools, and tells how the tasks stand that calls have become. */
export type ToolCalls = {
  /** @throws ProtocolError for a tool that is not there; everything else is an answer */
  call(name: string, given: unknown, caller: Caller): Promise<CallToolResult>
  readonly tasks: TaskSource
  close(): void
}

const Placed = JobResult.pick({ done: true }).extend({ job_id: Handle })

/** Makes what answers calls. This file holds on to every tool, so it is loaded at the first call. */
export function createToolCalls(deps: ServerDeps, pinShelf: PinShelf): ToolCalls {
  const { config, lilypad, logger, watch } = deps
  const isOffered = (name: string) => !config.selection || isSelected(name, config.selection)
  const offered = deps.paid ? [...tools, ...paidTools] : tools
  const byName = new Map(offered.filter(({ name }) => isOffered(name)).map((tool) => [tool.name, tool]))
  const pinnedCalls = pinShelf.pins.length > 0 ? openPinnedCalls(config.stateDirectory) : undefined

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

  /** What of the tools answers: a pinned one is a quote, and then `lilypad_run_job`. */
  async function answer(name: string, given: unknown, context: ServerContext, toolContext: ToolContext) {
    const pin = pinShelf.findPin(name)
    const tool = pin ? runJob : byName.get(name)
    if (!tool) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${name.slice(0, 128)} not found`)
    const meant = pin ? await quotePinned(pin, given, toolContext) : { given }
    if ('refused' in meant) return meant.refused
    return tool === runJob && declaresTasks(context)
      ? runAsTask(meant.given, toolContext)
      : tool.call(meant.given, toolContext)
  }

  async function quotePinned(pin: Pin, given: unknown, context: ToolContext) {
    try {
      if (!pinnedCalls) throw new TypeError('a pin without calls')
      assertMayCall({ needsKey: true, isReadOnly: false }, config)
      return { given: await quotePinnedCall(pin, given, { shelf: pinShelf, calls: pinnedCalls, context }) }
    } catch (error) {
      return { refused: toErrorResult(error, pin.module, context) }
    }
  }

  return {
    tasks: createJobTasks({
      ...deps,
      signal: new AbortController().signal,
      asking: noAsking,
      report: () => undefined,
    }),
    async call(name, given, { context, server, era }) {
      const startedAt = performance.now()
      const { signal } = context.mcpReq
      const asking = askingOf(context, server, era)
      const toolContext: ToolContext = { ...deps, signal, asking, report: createReport(context, logger) }
      const result = await answer(name, given, context, toolContext)
      const ms = Math.round(performance.now() - startedAt)
      logger.debug({ tool: name, isError: result.isError ?? false, ms }, 'tool called')
      return result
    },
    close: () => pinnedCalls?.close(),
  }
}
