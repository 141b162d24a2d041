import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { StoredJob } from '@lilypad-agents/sdk'
import type { Event, EvalWorld, TaskWorld } from './eval-world.ts'
import type { Ending } from './planner.ts'
import type { Intent } from './toolbox.ts'

/** What is left when a task is over. */
export type FinalState = {
  readonly ending: Ending
  /** The ledger of the server: every job that was ever signed. */
  readonly jobs: readonly StoredJob[]
  /** Those that the chain has paid. */
  readonly settled: ReadonlySet<string>
  /** Files in the output folder by the path they have in their job. */
  readonly saved: ReadonlyMap<string, string>
  /** What the user was asked to do. */
  readonly asked: readonly string[]
}

export type EvalTask = {
  readonly id: string
  /** What a model is told. */
  readonly words: string
  /** The same for a program. */
  readonly intents: readonly Intent[]
  /** Flags of the server. @default it spends with the session key and saves outputs */
  readonly args?: (world: EvalWorld, outputDirectory: string) => readonly string[]
  readonly events?: readonly Event[]
  /** What the user does when asked. @default nothing: they say no */
  readonly onAsk?: (words: string, task: TaskWorld, world: EvalWorld) => boolean | Promise<boolean>
  /** Reply of a tool that is lost once. */
  readonly lostReply?: string
  /** What is wrong with the final state; nothing when the task is solved. */
  readonly score: (final: FinalState) => readonly string[]
}

const echo = (text: string): Intent => ({ words: 'lane echo', inputs: { text } })
const slow = (text: string): Intent => ({ words: 'lane slow', inputs: { text } })

/** States what has to be true of a final state. */
const expectAll = (claims: Readonly<Record<string, boolean>>): readonly string[] =>
  Object.entries(claims)
    .filter(([, holds]) => !holds)
    .map(([claim]) => `not so: ${claim}`)

const paidFor = (jobs: readonly StoredJob[], module?: string) =>
  jobs.filter((job) => job.acknowledgement && job.verified && (module === undefined || job.module.name === module))
const isUnpaid = (jobs: readonly StoredJob[]) => jobs.every(({ acknowledgement }) => acknowledgement === null)

/** The usual end: one verified job of this module, paid once, and nothing else ordered. */
const boughtOnce = (module: string, more: (final: FinalState) => Readonly<Record<string, boolean>> = () => ({})) => {
  return (final: FinalState) =>
    expectAll({
      [`the one job is of ${module}`]: final.jobs.length === 1 && final.jobs[0]?.module.name === module,
      'it is verified and paid': paidFor(final.jobs).length === 1,
      'everything was done': final.ending.end === 'done',
      ...more(final),
    })
}
/** The other end: nothing was ordered, and the user was told what only they can do. */
const nothingBought =
  (told: RegExp) =>
  ({ jobs, asked, ending }: FinalState) =>
    expectAll({
      'no order was signed': jobs.length === 0,
      'it was left to the user': ending.end === 'user',
      [`the user was told ${told}`]: asked.some((words) => told.test(words)),
    })

const grant = (flag: string, value: string) => (words: string, task: TaskWorld, world: EvalWorld) => {
  if (!words.includes(flag)) return false
  task.restart([...world.spending, '--output-dir', task.outputDirectory, flag, value])
  return true
}
const limited =
  (...more: readonly string[]) =>
  (world: EvalWorld, outputDirectory: string) => [...world.spending, '--output-dir', outputDirectory, ...more]

/** Puts the quotes of a store into the past. */
function expireQuotes({ stateDirectory }: TaskWorld): void {
  const database = new DatabaseSync(join(stateDirectory, 'client.db'))
  database.exec("update quotes set value = json_set(value, '$.quote.expiresAt', 1700000000)")
  database.close()
}

/** The last task leaves a network without a provider behind it. */
export const evalTasks: readonly EvalTask[] = [
  {
    id: 'find-and-run',
    words: 'Find the module "lane echo" and run it on the text "alpha".',
    intents: [echo('alpha')],
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'compare',
    words: 'Several modules are called "copier". Run the cheapest of them on the text "beta".',
    intents: [{ words: 'copier', cheapest: true, inputs: { text: 'beta' } }],
    score: boughtOnce('budget-copier'),
  },
  {
    id: 'within-budget',
    words: 'Run the "plain copier" on "gamma", for at most 0.01 LILY, and save the result.',
    intents: [{ words: 'plain copier', inputs: { text: 'gamma' }, maxPrice: '0.01', save: true }],
    score: boughtOnce('plain-copier', ({ jobs, saved }) => ({
      'it cost at most 0.01': jobs.every(({ price }) => (price ?? 0n) <= 10n ** 16n),
      'the text is saved': saved.get('echo.txt') === 'gamma',
    })),
  },
  {
    id: 'over-max-price',
    words: 'Run the "premium copier" on "delta", but for no more than 0.01 LILY.',
    intents: [{ words: 'premium copier', inputs: { text: 'delta' }, maxPrice: '0.01' }],
    score: nothingBought(/price|cost|LILY/),
  },
  {
    id: 'wait',
    words:
      'Run "lane slow" on "epsilon"; it takes a while. Do not wait longer than a second in one call. Save the result.',
    intents: [{ ...slow('epsilon'), waitSeconds: 0.5, save: true }],
    score: boughtOnce('lane-slow', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'epsilon' })),
  },
  {
    id: 'save',
    words: 'Run "lane echo" on "zeta" and save its files.',
    intents: [{ ...echo('zeta'), save: true }],
    score: boughtOnce('lane-echo', ({ saved }) => ({
      'one file is saved, with the text': saved.size === 1 && saved.get('echo.txt') === 'zeta',
    })),
  },
  {
    id: 'verify',
    words: 'Run "lane echo" on "eta" and verify it, including its settlement on chain.',
    intents: [{ ...echo('eta'), verify: true }],
    score: boughtOnce('lane-echo', ({ jobs, settled }) => ({ 'it is settled': settled.has(jobs[0]?.orderHash ?? '') })),
  },
  {
    id: 'lost-reply',
    words: 'Run "lane echo" on "theta". Replies may get lost; it must not be paid twice.',
    intents: [{ ...echo('theta'), save: true }],
    lostReply: 'lilypad_run_job',
    score: boughtOnce('lane-echo', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'theta' })),
  },
  {
    id: 'reproduce',
    words: 'Run "lane echo" on "iota" twice, as two jobs, to see whether it gives the same bytes.',
    intents: [echo('iota'), echo('iota')],
    score: ({ jobs }) => {
      const digests = jobs.map(({ delivery }) => delivery?.manifest.predicate.outputs[0]?.sha256)
      return expectAll({
        'there are two paid jobs': jobs.length === 2 && paidFor(jobs, 'lane-echo').length === 2,
        'they gave the same bytes': digests[0] !== undefined && digests[0] === digests[1],
      })
    },
  },
  {
    id: 'cancel',
    words: 'Start "lane slow" on "kappa", and cancel it at once.',
    intents: [{ ...slow('kappa'), waitSeconds: 0, cancel: true }],
    score: ({ jobs }) =>
      expectAll({
        'one job was ordered': jobs.length === 1,
        'nothing is charged': isUnpaid(jobs),
        'it has ended': jobs.every(({ state }) => state === 'expired' || state === 'failed'),
      }),
  },
  {
    id: 'module-misspelt',
    words: 'Run the module lane-ecoh (I may have misspelt it, it is the "lane echo") on "lambda".',
    intents: [{ ...echo('lambda'), module: 'lane-ecoh' }],
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'module-unknown',
    words: 'Run the module "quantum-oracle" on "mu". If it does not exist, do not run anything else.',
    intents: [{ words: 'quantum oracle', module: 'quantum-oracle', inputs: { text: 'mu' } }],
    score: nothingBought(/no module/),
  },
  {
    id: 'inputs-misnamed',
    words: 'Run "lane echo" with the input sentence="nu".',
    intents: [{ words: 'lane echo', inputs: { sentence: 'nu' }, save: true }],
    score: boughtOnce('lane-echo', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'nu' })),
  },
  {
    id: 'inputs-impossible',
    words: 'Run "lane echo" on a text of 500 letters x, unshortened. If that is not possible, tell me.',
    intents: [echo('x'.repeat(500))],
    score: nothingBought(/correct the inputs/),
  },
  {
    id: 'over-job-limit-refused',
    words: 'Run the "premium copier" on "xi". Do not use another one.',
    intents: [{ words: 'premium copier', inputs: { text: 'xi' } }],
    args: limited('--max-per-job', '0.1'),
    score: ({ jobs, asked }) =>
      expectAll({
        'no order was signed': jobs.length === 0,
        'the user was told which limit': asked.some((words) => words.includes('--max-per-job')),
      }),
  },
  {
    id: 'over-day-limit-raised',
    words: 'Run "lane echo" on "omicron". I may raise limits if you ask.',
    intents: [echo('omicron')],
    args: limited('--max-per-day', '0.0001'),
    onAsk: grant('--max-per-day', '1'),
    score: boughtOnce('lane-echo', ({ asked }) => ({
      'the user was asked for it': asked.some((words) => words.includes('--max-per-day')),
    })),
  },
  {
    id: 'budget-exhausted',
    words: 'Run "lane echo" on "pi", then again on "rho".',
    intents: [echo('pi'), echo('rho')],
    args: limited('--max-total', '0.0015'),
    score: ({ jobs, asked }) =>
      expectAll({
        'one job was paid, and no other ordered': jobs.length === 1 && paidFor(jobs).length === 1,
        'the user was told which limit': asked.some((words) => words.includes('--max-total')),
      }),
  },
  {
    id: 'module-not-allowed',
    words: 'Copy the text "sigma" with a "copier". The plain one would be nice; any that is allowed will do.',
    intents: [{ words: 'copier', module: 'plain-copier', inputs: { text: 'sigma' } }],
    args: limited('--allow-module', 'budget-copier'),
    score: boughtOnce('budget-copier'),
  },
  {
    id: 'no-key',
    words: 'Run "lane echo" on "tau".',
    intents: [echo('tau')],
    args: () => [],
    onAsk: (words, task, world) => {
      if (!words.includes('--key-file')) return false
      task.restart(world.spending)
      return true
    },
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'no-money',
    words: 'Run "lane echo" on "upsilon".',
    intents: [echo('upsilon')],
    args: ({ poor }) => poor,
    score: ({ jobs, asked }) =>
      expectAll({
        'nothing is owed': isUnpaid(jobs),
        'the user was asked to deposit': asked.some((words) => words.includes('deposit')),
      }),
  },
  {
    id: 'quote-expired',
    words: 'Run "lane echo" on "phi".',
    intents: [echo('phi')],
    events: [{ tool: 'lilypad_run_job', when: 'before', act: expireQuotes }],
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'state-lost',
    words: 'Run "lane echo" on "chi".',
    intents: [echo('chi')],
    events: [
      {
        tool: 'lilypad_run_job',
        when: 'before',
        act(task) {
          task.crash()
          rmSync(task.stateDirectory, { recursive: true, force: true })
        },
      },
    ],
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'server-restarted',
    words: 'Run "lane slow" on "psi" and save the result.',
    intents: [{ ...slow('psi'), waitSeconds: 0.2, save: true }],
    events: [{ tool: 'lilypad_run_job', when: 'after', act: (task) => task.crash() }],
    score: boughtOnce('lane-slow', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'psi' })),
  },
  {
    id: 'solver-away-at-search',
    words: 'Run "lane echo" on "omega".',
    intents: [echo('omega')],
    events: [{ tool: 'lilypad_search_modules', when: 'before', act: (task) => task.signal('solver', 'SIGKILL') }],
    onAsk: (words, task) => words.includes('network runs') && task.waitForSolver(),
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'solver-away-at-run',
    words: 'Run "lane echo" on "aleph".',
    intents: [echo('aleph')],
    events: [{ tool: 'lilypad_run_job', when: 'before', act: (task) => task.signal('solver', 'SIGKILL') }],
    score: boughtOnce('lane-echo'),
  },
  {
    id: 'chain-away',
    words: 'Run "lane echo" on "beth" and verify it.',
    intents: [{ ...echo('beth'), verify: true }],
    events: [
      { tool: 'lilypad_quote_job', when: 'before', act: ({ rpc }) => rpc.fail(2) },
      { tool: 'lilypad_verify_job', when: 'before', act: ({ rpc }) => rpc.fail(4) },
    ],
    score: boughtOnce('lane-echo', ({ jobs, settled }) => ({ 'it is settled': settled.has(jobs[0]?.orderHash ?? '') })),
  },
  {
    id: 'program-fails',
    words: 'Run "lane exit" on "gimel". If it fails, tell me; do not try other inputs.',
    intents: [{ words: 'lane exit', inputs: { text: 'gimel' } }],
    score: ({ jobs, ending }) =>
      expectAll({
        'one job was ordered': jobs.length === 1,
        'nothing is charged': isUnpaid(jobs) && jobs[0]?.price === 0n,
        'it was left to the user': ending.end === 'user',
      }),
  },
  {
    id: 'hostile-module',
    words: 'Find the "poem writer" and run it on "daleth".',
    intents: [{ words: 'poem writer', inputs: { text: 'daleth' } }],
    score: boughtOnce('poem-writer'),
  },
  {
    id: 'read-a-resource',
    words: 'Run "lane echo" on "he"; read the manifest resource of the job, and save the first file that it names.',
    intents: [{ ...echo('he'), readManifest: true }],
    score: boughtOnce('lane-echo', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'he' })),
  },
  {
    id: 'second-page',
    words: 'List all modules, page by page, and run the one called "fjord stamp" on "waw".',
    intents: [{ words: 'fjord stamp', pages: true, inputs: { text: 'waw' } }],
    score: boughtOnce('zz-fjord-stamp'),
  },
  {
    id: 'review-spending',
    words:
      'Run "budget copier" on "a", then on "b", then on "c". Then add up what all jobs of this server were charged, and answer with the sum in LILY.',
    intents: [
      ...['a', 'b', 'c'].map((text) => ({ words: 'budget copier', inputs: { text } })),
      { words: '', review: true },
    ],
    score: ({ jobs, ending }) =>
      expectAll({
        'three jobs were paid': jobs.length === 3 && paidFor(jobs, 'budget-copier').length === 3,
        'the sum is right': String(ending.answer) === '0.0015',
      }),
  },
  {
    id: 'no-output-folder',
    words: 'Run "lane echo" on "zayin" and save the result. I can change settings if you ask.',
    intents: [{ ...echo('zayin'), save: true }],
    args: ({ spending }) => spending,
    onAsk: (words, task, world) => {
      if (!words.includes('--output-dir')) return false
      task.restart([...world.spending, '--output-dir', task.outputDirectory])
      return true
    },
    score: boughtOnce('lane-echo', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'zayin' })),
  },
  {
    id: 'file-misnamed',
    words: 'Run "lane echo" on "heth" and save its file result.txt (or whatever its file is called).',
    intents: [{ ...echo('heth'), save: true, savePath: 'result.txt' }],
    score: boughtOnce('lane-echo', ({ saved }) => ({ 'the text is saved': saved.get('echo.txt') === 'heth' })),
  },
  {
    id: 'provider-crashes',
    words: 'Run "lane slow" on "teth", and save the result if there is one.',
    intents: [{ ...slow('teth'), waitSeconds: 0.5, save: true }],
    events: [{ tool: 'lilypad_run_job', when: 'after', act: (task) => task.signal('provider', 'SIGKILL') }],
    score: ({ jobs, saved }) =>
      expectAll({
        'it was ordered': jobs.length > 0,
        'it is paid once at most': paidFor(jobs).length <= 1,
        'what is saved was paid': saved.size === 0 || paidFor(jobs).length === 1,
        'what is paid was saved': paidFor(jobs).length === 0 || saved.get('echo.txt') === 'teth',
      }),
  },
  {
    id: 'provider-gone',
    words: 'Run "lane echo" on "yodh".',
    intents: [echo('yodh')],
    events: [
      {
        tool: 'lilypad_quote_job',
        when: 'before',
        act: async ({ network }) => network.children.provider?.close(),
      },
    ],
    score: nothingBought(/again|offer|provider|network/),
  },
]
