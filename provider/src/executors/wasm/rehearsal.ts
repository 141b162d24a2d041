import { DeterministicWasi } from './deterministic-wasi.ts'
import type { RunnerJob } from './frames.ts'
import { openOutbox } from './outbox.ts'
import { readTask } from './read-task.ts'
import { runTask } from './run-task.ts'
import { WebAssembly } from './web-assembly.ts'

const [readRight, writeRight] = [2n, 64n]

type Call = (...args: readonly (number | bigint)[]) => unknown

const job: RunnerJob = {
  args: ['rehearsal'],
  env: ['TZ=UTC'],
  seed: 'rehearsal',
  stdinBytes: 1,
  inputs: [{ path: 'folder/input', bytes: 1 }],
  outputBytes: 4096,
  outputFiles: 1,
  outputFolders: 1,
  scratchBytes: 4096,
}

/**
 * Goes through what most jobs ask of the system interface, with a program of ours and a world of its own, so that the
 * engine has compiled those parts before a job waits for them.
 */
export function rehearse(write: (bytes: Uint8Array) => void = () => {}): void {
  const system = new DeterministicWasi()
  const memory = new WebAssembly.Memory({ initial: 1 })
  const _start = () => perform(system.wasiImport as Record<string, Call>, new Uint8Array(memory.buffer))
  const task = readTask(readerOf(Buffer.from(JSON.stringify(job))))
  runTask(() => ({ exports: { memory, _start } }), system, task, openOutbox(write))
}

/** The rehearsal's job as the provider would send it, everything else in it zero. */
function readerOf(header: Uint8Array): (bytes: number) => Uint8Array {
  const bytes = new Uint8Array(4 + header.length + 2)
  new DataView(bytes.buffer).setUint32(0, header.length, true)
  bytes.set(header, 4)
  let offset = 0
  return (length) => {
    offset += length
    return bytes.slice(offset - length, offset)
  }
}

/** Reads, writes and looks around the way the start of a C or Rust program does. */
function perform(calls: Record<string, Call>, memory: Uint8Array): void {
  const [stdin, stdout, stderr, inputs, outputs] = [0, 1, 2, 3, 4]
  const [name, text, vector, result] = [64, 128, 192, 256]
  const view = new DataView(memory.buffer)
  const call = (which: string, ...args: readonly (number | bigint)[]) => calls[which]?.(...args)
  const open = (folder: number, path: string, flags: number, rights: bigint) => {
    const bytes = new TextEncoder().encode(path)
    memory.set(bytes, name)
    call('path_open', folder, 0, name, bytes.length, flags, rights, 0n, 0, result)
    return view.getUint32(result, true)
  }
  view.setUint32(vector, text, true)
  view.setUint32(vector + 4, 1, true)
  for (const which of ['args', 'environ']) {
    call(`${which}_sizes_get`, result, result + 4)
    call(`${which}_get`, result, text)
  }
  for (let folder = inputs; call('fd_prestat_get', folder, result) === 0; folder += 1)
    call('fd_prestat_dir_name', folder, text, view.getUint32(result + 4, true))
  call('clock_time_get', 0, 0n, result)
  call('fd_fdstat_get', stdout, result)
  call('fd_read', stdin, vector, 1, result)
  const input = open(inputs, 'folder/input', 0, readRight)
  call('fd_filestat_get', input, result)
  call('fd_read', input, vector, 1, result)
  call('fd_close', input)
  const output = open(outputs, 'output', 1, writeRight)
  for (const descriptor of [output, stdout, stderr]) call('fd_write', descriptor, vector, 1, result)
  call('fd_seek', output, 0n, 0, result)
  call('fd_close', output)
}
