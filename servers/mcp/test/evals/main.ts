// A1: tasks an agent gets, on a real local network, scored by what is left on chain, in the ledger and in the output folder.
// Without a model a planner does them, which knows no more than a model would see.
//
//   LILYPAD_EVAL_URL, LILYPAD_EVAL_MODEL   an endpoint with chat completions, and a model there, to do the tasks instead
//   LILYPAD_EVAL_KEY                       its key, if it wants one
//   --only a,b                             only these tasks
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { evalTasks, type EvalTask } from './eval-tasks.ts'
import { type EvalWorld, openTask, startEvalWorld } from './eval-world.ts'
import { pursueWithModel } from './model-agent.ts'
import { createPlanner } from './planner.ts'

const { LILYPAD_EVAL_URL: url, LILYPAD_EVAL_MODEL: model, LILYPAD_EVAL_KEY: key } = process.env
const endpoint = url && model ? { url, model, key } : undefined
const only = process.argv.find((_, index, all) => all[index - 1] === '--only')?.split(',')

async function attempt(world: EvalWorld, evalTask: EvalTask, index: number) {
  const { id, words, intents, args, events = [], onAsk, lostReply, score } = evalTask
  const startedAt = Date.now()
  const asked: string[] = []
  const outputDirectory = `${world.scratch}/${id}/saved`
  const opened = await openTask(world, {
    id,
    era: index % 2 === 0 ? 'modern' : 'legacy',
    args: args ? args(world, outputDirectory) : [...world.spending, '--output-dir', outputDirectory],
    events,
    lostReply,
    onAsk(said, task) {
      asked.push(said)
      return onAsk?.(said, task, world) ?? false
    },
  })
  const { toolbox, task, counts } = opened
  const problems: string[] = []
  try {
    const ending = endpoint
      ? await pursueWithModel(endpoint, toolbox, words)
      : await createPlanner(toolbox).pursue(intents)
    if (ending.end === 'user') asked.push(ending.words)
    await opened.close()
    const jobs = await world.readLedger(task.stateDirectory)
    const settled = await world.findSettled(jobs)
    problems.push(...score({ ending, jobs, settled, saved: opened.readSaved(), asked }))
    if (problems.length > 0) problems.push(`it ended with ${JSON.stringify(ending)}`)
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error))
  } finally {
    await opened.close().catch(() => undefined)
  }
  return { id, problems, ...counts, seconds: (Date.now() - startedAt) / 1000 }
}

installNativeCrypto()
const world = await startEvalWorld()
try {
  const tasks = evalTasks.filter(({ id }) => !only || only.includes(id))
  const print = (...cells: readonly (string | number)[]) =>
    process.stdout.write(
      `${cells.map((cell, at) => (at === 1 ? String(cell).padEnd(24) : String(cell).padStart(6))).join('  ')}\n`,
    )
  print('', 'task', 'calls', 'tokens', 's')
  let passed = 0
  for (const [index, evalTask] of tasks.entries()) {
    const { id, problems, calls, tokens, seconds } = await attempt(world, evalTask, index)
    if (problems.length === 0) passed += 1
    print(problems.length === 0 ? 'pass' : 'FAIL', id, calls, tokens, seconds.toFixed(1))
    for (const problem of problems) process.stdout.write(`          ${problem.slice(0, 500)}\n`)
  }
  const chain = await world.checkChain()
  for (const problem of chain.problems) process.stdout.write(`FAIL    on chain: ${problem}\n`)
  process.stdout.write(
    `${passed} of ${tasks.length} tasks; ${chain.jobs} jobs paid on chain, ${chain.paid} base units, each once\n`,
  )
  if (passed < tasks.length || chain.problems.length > 0) process.exitCode = 1
} finally {
  await world.close()
}
