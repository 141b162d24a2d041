import type { Duplex } from 'node:stream'
import type Docker from 'dockerode'
import { findGpuRefusal, gpuRequest, listEngineDevices, withGpus } from '../../gpu/gpu-request.ts'
import { ImageMissingError } from '../errors.ts'
import type { ExecutorTask, Outcome } from '../executor.ts'
import type { LogSpool } from '../log-spool.ts'
import type { RunControl } from '../run-control.ts'
import { type ContainerFacts, containerOptions } from './container-options.ts'
import { createContainer, statusOf } from './engine.ts'
import { logDemultiplexer } from './log-demultiplexer.ts'

const attachEndMilliseconds = 2000
const lateFlagMilliseconds = 500
const killedCode = 137

/** What a job is that asks for a command which is not there or cannot be executed. */
export const startFailure: Outcome = { kind: 'trapped', reason: 'the container could not start its program' }

/** Runs a job as the first process of a container of its own. The container is left for the caller to remove. */
export async function runCold(
  docker: Docker,
  task: ExecutorTask,
  facts: ContainerFacts,
  control: RunControl,
  spool: LogSpool,
): Promise<Outcome> {
  const { gpus = [] } = task
  const container = await createContainer(docker, await jobOptions(task, facts))
  const hasStdin = task.stdin !== undefined
  const [{ Image }, stream] = await Promise.all([
    container.inspect(),
    container.attach({ stream: true, stdin: hasStdin, stdout: true, stderr: true, hijack: true }) as Promise<Duplex>,
  ])
  if (Image !== facts.image.id) throw new ImageMissingError(facts.image.id, Image)
  const attachEnded = new Promise<void>((resolve) =>
    stream
      .once('close', resolve)
      .once('end', resolve)
      .once('error', () => resolve()),
  )
  let rooms: Promise<void>[] = []
  const demultiplex = logDemultiplexer((name, bytes) => {
    if (!spool.push(name, bytes)) control.stop({ kind: 'log-limit' })
    if (spool.room !== undefined) rooms.push(spool.room)
  })
  stream.on('data', (bytes: Buffer) => {
    demultiplex(bytes)
    if (rooms.length === 0) return
    // A program that writes faster than is taken waits at its pipe.
    stream.pause()
    void Promise.all(rooms).finally(() => stream.resume())
    rooms = []
  })
  const exited = container.wait({ condition: 'next-exit' }) as Promise<{ StatusCode: number }>
  // Looked at below, unless starting fails first.
  exited.catch(() => {})
  try {
    await container.start()
  } catch (error) {
    stream.destroy()
    const refusal = gpus.length > 0 ? findGpuRefusal(error) : undefined
    if (refusal !== undefined) throw refusal
    // The image's own fault, for instance a command that is not there: a failed job, not a failed provider.
    if (statusOf(error) === 400 || statusOf(error) === 404) return startFailure
    throw error
  }
  if (control.stopped !== undefined) await container.kill({ signal: 'SIGKILL' }).catch(() => {})
  if (hasStdin) stream.end(task.stdin)
  const { StatusCode } = await exited
  const timer = new AbortController()
  await Promise.race([attachEnded, sleep(attachEndMilliseconds, timer.signal)])
  timer.abort()
  stream.destroy()
  return control.stopped ?? (await judgeExit(container, StatusCode))
}

async function jobOptions(task: ExecutorTask, facts: ContainerFacts): Promise<Docker.ContainerCreateOptions> {
  const options = containerOptions(task.limits, { kind: 'job', task }, facts)
  const { gpus = [] } = task
  if (gpus.length === 0) return options
  // Looked up at each run: CDI files are written again when drivers or cards change.
  const request = gpuRequest(gpus, await listEngineDevices(facts.engine.cdi))
  return withGpus(options, request, facts.image.environment)
}

/** What the engine says about a container that has ended and that nobody on our side killed. */
export async function judgeExit(
  container: { inspect(): Promise<{ readonly State: { readonly OOMKilled: boolean } }> },
  code: number,
): Promise<Outcome> {
  const until = performance.now() + lateFlagMilliseconds
  for (;;) {
    const { State } = await container.inspect()
    if (State.OOMKilled && code !== 0) return { kind: 'out-of-memory' }
    // Only what was killed can have been killed for memory, which the engine may note after the exit.
    if (code !== killedCode || performance.now() >= until) return { kind: 'exited', code }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
