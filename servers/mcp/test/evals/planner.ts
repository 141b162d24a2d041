import { setTimeout as sleep } from 'node:timers/promises'
import { readFix } from './read-fix.ts'
import type { Facts, Intent, Toolbox } from './toolbox.ts'

/** The user has to do something, and said no or was not there: the end of what an agent can do. */
class LeftToUser extends Error {}

/** The work goes on from an earlier place: another module, another quote, or the same call. */
class Resume extends Error {
  readonly from: 'search' | 'quote' | 'call'
  constructor(from: 'search' | 'quote' | 'call') {
    super(from)
    this.from = from
  }
}

type Problem = { readonly code: string; readonly fix: string; readonly retryable: boolean; readonly message: string }
type Listed = {
  readonly module: string
  readonly price_per_job: string | null
  readonly untrusted: { readonly title: string }
}

const tries = 4
const maxRounds = 12
const longWait = 20
const patienceMilliseconds = 120_000

/** How an intent ended: everything done, or handed to the user in these words. */
export type Ending = { readonly end: 'done' | 'user'; readonly words: string; readonly answer?: unknown }

/**
 * Does what a task wants with the tools of the server: no model, and no knowledge that a model would not have. What it does about an error
 * it reads from the error's `fix`, and which call comes next from the `next` of an answer.
 */
export function createPlanner(toolbox: Toolbox, options: { readonly pauseMilliseconds?: number } = {}) {
  const { pauseMilliseconds = 1500 } = options
  const tried = new Set<string>()
  const asked = new Set<string>()
  let allowed: readonly string[] | null = null
  /** The error because of which another module is looked for: when there is none, its `fix` goes on. */
  let standing: Problem | undefined

  /** Follows a `fix`, one step after the other. Returns when the same call is worth repeating; else says where to go on. */
  async function follow(problem: Problem, state: { readonly module?: string; attempt: number }): Promise<void> {
    const steps = readFix(problem.fix)
    const canRepeat = problem.retryable || steps.some(({ kind }) => kind === 'again')
    if (canRepeat && state.attempt < tries) {
      await sleep(pauseMilliseconds * state.attempt)
      return
    }
    for (const step of steps) {
      if (step.kind === 'again') continue
      if (step.kind === 'quote') throw new Resume('quote')
      if (step.kind === 'search') {
        if (standing?.code === problem.code) continue
        standing = problem
        if (state.module) tried.add(state.module)
        allowed = ((await toolbox.call('lilypad_get_wallet', {})).allowed_modules as string[] | undefined) ?? null
        throw new Resume('search')
      }
      if (step.kind === 'user') {
        if (asked.has(step.words)) continue
        asked.add(step.words)
        if (await toolbox.askUser(step.words)) return
      }
    }
    throw new LeftToUser(problem.fix)
  }

  /** Calls a tool until it answers or its errors lead elsewhere. */
  async function call(tool: string, args: Facts, module?: string): Promise<Facts> {
    const state = { attempt: 0, ...(module ? { module } : {}) }
    for (;;) {
      state.attempt += 1
      const facts = await toolbox.call(tool, args)
      const problem = facts.error as Problem | undefined
      if (!problem) return facts
      if (state.attempt > maxRounds) throw new LeftToUser(problem.fix)
      await follow(problem, state)
    }
  }

  async function list({ words, cheapest = false, pages = false }: Intent): Promise<readonly Listed[]> {
    const found: Listed[] = []
    let cursor: unknown
    do {
      const args = { ...(pages ? {} : { query: words }), ...(cursor ? { cursor } : {}) }
      const facts = await call('lilypad_search_modules', args)
      found.push(...(facts.modules as Listed[]))
      cursor = facts.next_cursor
    } while (cursor !== null && (cheapest || !found.some((listed) => fits(listed, words))))
    return found.filter(({ module }) => !tried.has(module) && (allowed === null || allowed.includes(module)))
  }

  async function find(intent: Intent): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      const found = await list(intent)
      const candidates = found.filter((listed) => fits(listed, intent.words))
      const offered = candidates.filter(({ price_per_job }) => price_per_job !== null)
      if (intent.cheapest) offered.sort((a, b) => Number(a.price_per_job) - Number(b.price_per_job))
      const [best] = offered
      if (best) return best.module
      // Nobody offers it now; somebody may in a moment.
      const isWorthWaiting = candidates.length > 0 && attempt <= tries
      if (!isWorthWaiting) break
      await sleep(pauseMilliseconds * attempt)
    }
    if (!standing) throw new LeftToUser(`no module for ${JSON.stringify(intent.words)}`)
    try {
      await follow(standing, { attempt: tries })
    } catch (error) {
      if (!(error instanceof LeftToUser) || asked.size > 0) throw error
      throw new LeftToUser(`no module for ${JSON.stringify(intent.words)}: ${error.message}`)
    }
    tried.clear()
    return find(intent)
  }

  /** Inputs that fit what the module says it takes: one text that came under a name it does not know gets the name it knows. */
  async function correctInputs(module: string, given: Facts): Promise<Facts | undefined> {
    const { inputs } = (await call('lilypad_get_module', { module })) as {
      inputs: { name: string; type: string; required: boolean }[]
    }
    const missing = inputs.filter(({ name, required }) => required && !Object.hasOwn(given, name))
    const unknown = Object.keys(given).filter((name) => !inputs.some((input) => input.name === name))
    const [wanted, other] = [missing[0], unknown[0]]
    if (missing.length !== 1 || unknown.length !== 1 || !wanted || other === undefined) return undefined
    return {
      ...Object.fromEntries(Object.entries(given).filter(([name]) => name !== other)),
      [wanted.name]: given[other],
    }
  }

  async function quote(module: string, intent: Intent): Promise<Facts> {
    let { inputs = {} } = intent
    for (let attempt = 1; ; attempt++) {
      const args = { module, inputs, ...(intent.maxPrice ? { max_price: intent.maxPrice } : {}) }
      const facts = await toolbox.call('lilypad_quote_job', args)
      const problem = (facts.error ?? (facts.allowed === false ? facts.refusal : undefined)) as Problem | undefined
      if (!problem) return facts
      const isCorrectable = readFix(problem.fix).some(({ kind }) => kind === 'correct')
      const corrected = isCorrectable ? await correctInputs(module, inputs) : undefined
      if (corrected) {
        inputs = corrected
        continue
      }
      if (attempt > maxRounds) throw new LeftToUser(problem.fix)
      await follow(problem, { module, attempt })
    }
  }

  /** Waits for the end of a job, calling what the answers say comes next. */
  async function waitFor(job: Facts, intent: Intent): Promise<Facts> {
    let facts = job
    const until = Date.now() + patienceMilliseconds
    while (facts.done !== true) {
      if (Date.now() > until) throw new LeftToUser('the job does not come to its end')
      const next = (facts.next as { tool: string; args: Facts }[] | undefined)?.find(
        ({ tool }) => tool === 'lilypad_get_job',
      )
      const args = next?.args ?? { job_id: facts.job_id }
      facts = await call('lilypad_get_job', { ...args, wait_s: intent.waitSeconds ?? longWait })
    }
    return facts
  }

  async function run(intent: Intent): Promise<Facts> {
    let module = intent.module
    for (let round = 0; ; round++) {
      if (round > maxRounds) throw new LeftToUser('it does not work')
      try {
        module ??= await find(intent)
        const quoted = await quote(module, intent)
        const next = (quoted.next as { tool: string; args: Facts }[] | undefined)?.[0]
        if (next?.tool !== 'lilypad_run_job') throw new LeftToUser('the quote does not say how to run it')
        const placed = await call(next.tool, { ...next.args, wait_s: intent.waitSeconds ?? longWait }, module)
        if (intent.cancel) return await call('lilypad_cancel_job', { job_id: placed.job_id })
        const job = await waitFor(placed, intent)
        const problem = job.problem as Problem | undefined
        if (job.payment !== 'none' || !problem) return job
        await follow(problem, { module, attempt: tries })
      } catch (error) {
        if (!(error instanceof Resume)) throw error
        if (error.from === 'search') module = undefined
      }
    }
  }

  async function finish(job: Facts, intent: Intent): Promise<void> {
    const { job_id } = job
    if (intent.verify) {
      for (let round = 0; ; round++) {
        const { verdict } = await call('lilypad_verify_job', { job_id })
        if (verdict === 'verified') break
        if (verdict === 'mismatch' || round > maxRounds * 2) throw new LeftToUser('the result does not verify')
        await call('lilypad_get_job', { job_id, wait_s: 1 })
        await sleep(pauseMilliseconds)
      }
    }
    if (intent.readManifest) {
      const manifest = JSON.stringify(await toolbox.readResource(`lilypad://jobs/${job_id}/manifest`))
      const path = /"path":"([^"]+)"/.exec(manifest)?.[1]
      await call('lilypad_save_outputs', { job_id, ...(path ? { paths: [path] } : {}) })
    } else if (intent.save) {
      let paths = intent.savePath === undefined ? undefined : [intent.savePath]
      for (let attempt = 1; ; attempt++) {
        const facts = await toolbox.call('lilypad_save_outputs', { job_id, ...(paths ? { paths } : {}) })
        const problem = facts.error as Problem | undefined
        if (!problem) break
        if (attempt > tries) throw new LeftToUser(problem.fix)
        const [step] = readFix(problem.fix)
        if (step?.kind === 'tool' && step.tool === 'lilypad_get_outputs') {
          const { files } = (await call(step.tool, { job_id })) as { files: { path: string }[] }
          paths = files.map(({ path }) => path)
        } else await follow(problem, { attempt: tries })
      }
    }
  }

  /** Adds up what was charged, over all pages. */
  async function review(): Promise<string> {
    let total = 0n
    let cursor: unknown
    do {
      const facts = await call('lilypad_list_jobs', { limit: 2, ...(cursor ? { cursor } : {}) })
      for (const { charged } of facts.jobs as { charged: string }[]) total += BigInt(Math.round(Number(charged) * 1e6))
      cursor = facts.next_cursor
    } while (cursor !== null)
    return String(Number(total) / 1e6)
  }

  return {
    async pursue(intents: readonly Intent[]): Promise<Ending> {
      let answer: unknown
      try {
        for (const intent of intents) {
          if (intent.review) answer = await review()
          else await finish(await run(intent), intent)
        }
        return { end: 'done', words: 'done', ...(answer === undefined ? {} : { answer }) }
      } catch (error) {
        if (!(error instanceof LeftToUser)) throw error
        await toolbox.askUser(error.message)
        return { end: 'user', words: error.message }
      }
    },
  }
}

/** Whether a module is called by every word that is looked for. What its author says about it may name others. */
const fits = ({ module, untrusted }: Listed, words: string): boolean => {
  const said = `${module} ${untrusted.title}`.toLowerCase()
  return words
    .toLowerCase()
    .split(' ')
    .every((word) => said.includes(word))
}
