import { appendFileSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Effect } from '../app.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { Handle } from '../tools/module-reference.ts'

const maxFileBytes = 10 * 1024 * 1024
const keptFiles = 10

/** One line of the audit log: what happened, whose it was, and what it cost. Nothing in it was written by a stranger. */
export type AuditEntry = {
  readonly event: 'call' | 'refused'
  readonly principal?: string
  readonly address?: string
  readonly tool?: string
  readonly quoteId?: string
  readonly jobId?: string
  /** `none`, `reserved`, `unknown` or an amount of LILY. */
  readonly charged?: string
  /** `OK`, or the code of the error. */
  readonly code: string
}

/** Keeps the entries as JSON lines in a file that only grows, until it is full and put aside. */
export type AuditLog = { write(entry: AuditEntry): void }

/**
 * Opens `audit.jsonl` in a folder, and `refused.jsonl` for what was refused: anybody can be refused without end, and must not push out what
 * happened. Full ones become `audit.1.jsonl` and so on, the oldest of ten goes.
 */
export function openAuditLog(directory: string, logger: Logger, maxBytes = maxFileBytes): AuditLog {
  const names = { call: 'audit', refused: 'refused' } as const
  mkdirSync(directory, { recursive: true, mode: 0o700 })

  function rotate(name: string, path: string): void {
    const older = (number: number) => join(directory, `${name}.${number}.jsonl`)
    rmSync(older(keptFiles), { force: true })
    for (let number = keptFiles - 1; number >= 1; number--) move(older(number), older(number + 1))
    move(path, older(1))
  }

  return {
    write(entry) {
      const name = names[entry.event]
      const path = join(directory, `${name}.jsonl`)
      try {
        if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) >= maxBytes) rotate(name, path)
        appendFileSync(path, `${JSON.stringify({ time: new Date().toISOString(), ...entry })}\n`, { mode: 0o600 })
      } catch (error) {
        logger.error(failureFacts(error), 'an audit line was not written')
      }
    },
  }
}

function move(from: string, to: string): void {
  if (statSync(from, { throwIfNoEntry: false })) renameSync(from, to)
}

const Result = z.object({
  job_id: Handle.optional().catch(undefined),
  charged: z.string().optional().catch(undefined),
  error: z.object({ code: z.string(), charged: z.string().optional() }).optional().catch(undefined),
  problem: z.object({ code: z.string() }).optional().catch(undefined),
})
const Charged = z.string().regex(/^(none|reserved|unknown|\d{1,60}(\.\d{1,18})?)$/)
const ToolName = z.string().regex(/^[a-z][a-z0-9_/-]{0,127}$/)
const Code = z.string().regex(/^[A-Z][A-Z_]{0,60}$/)

/** What the audit log keeps of a call: ids, amount and code, and of its arguments nothing but a handle. */
export function toAuditEntry(principal: string, { tool, arguments: given, result }: Effect): AuditEntry {
  const parsed = Result.safeParse(result)
  const { job_id, charged, error, problem } = parsed.success ? parsed.data : {}
  const handles = Object.entries(Object(given)).flatMap(([name, value]) => {
    const handle = Handle.safeParse(value)
    return handle.success ? [{ isQuote: /^quote/i.test(name), handle: handle.data }] : []
  })
  const quoteId = handles.find(({ isQuote }) => isQuote)?.handle
  const jobId = job_id ?? handles.find(({ isQuote }) => !isQuote)?.handle
  const amount = Charged.safeParse(error?.charged ?? charged)
  const code = Code.safeParse(error?.code ?? problem?.code ?? 'OK')
  return {
    event: 'call',
    principal,
    tool: ToolName.safeParse(tool).data ?? 'unknown',
    ...(quoteId ? { quoteId } : {}),
    ...(jobId ? { jobId } : {}),
    ...(amount.success ? { charged: amount.data } : {}),
    code: code.success ? code.data : 'UNKNOWN',
  }
}
