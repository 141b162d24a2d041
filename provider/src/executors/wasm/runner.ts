// Child process of the WASM executor: runs one program once, then ends. It gets no environment, may read its own code
// and the program only, and speaks frames on stdout. Started as `node runner.ts <program> <ahead|lazy>`.
import { readFileSync, readSync, writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { DeterministicWasi } from './deterministic-wasi.ts'
import { openOutbox } from './outbox.ts'
import { rehearse } from './rehearsal.ts'
import { readTask } from './read-task.ts'
import { type BoundProgram, describeFailure, finish, instantiate, runTask } from './run-task.ts'
import { hasStartSection } from './start-section.ts'
import { type WasmModule, WebAssembly } from './web-assembly.ts'

const pieceBytes = 65_536
// Code that ran a few times needs less looking up.
const rehearsals = 10

function writeAll(bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) {
    try {
      offset += writeSync(1, bytes, offset)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

/** Reads standard input a piece at a time: most jobs fit into one. */
function openInput(): (length: number) => Uint8Array {
  const room = new Uint8Array(pieceBytes)
  let rest = room.subarray(0, 0)
  const fill = (target: Uint8Array) => {
    const count = readSync(0, target, 0, target.length, null)
    // The provider is gone: there is nobody to run for.
    if (count === 0) process.exit(0)
    return count
  }
  return (length) => {
    const bytes = new Uint8Array(length)
    for (let offset = 0; offset < length; ) {
      if (rest.length === 0 && length - offset >= room.length) {
        offset += fill(bytes.subarray(offset))
        continue
      }
      if (rest.length === 0) rest = room.subarray(0, fill(room))
      const piece = rest.subarray(0, length - offset)
      bytes.set(piece, offset)
      offset += piece.length
      rest = rest.subarray(piece.length)
    }
    return bytes
  }
}

function main(programPath: string, compilation: string): void {
  // Here and not on the command line, where they would also slow down the WebAssembly inside Node.js itself.
  setFlagsFromString('--no-liftoff')
  // The system interface runs on the program's stack. Optimised when it has become hot, at no certain time, it takes more or less of it
  // than before, and a program near the end of its stack would come to another result in one process than in the next.
  setFlagsFromString('--no-opt')
  setFlagsFromString('--no-maglev')
  if (compilation === 'ahead') setFlagsFromString('--no-wasm-lazy-compilation')
  const outbox = openOutbox(writeAll)
  let bytes: Uint8Array
  let module: WasmModule
  try {
    bytes = readFileSync(programPath)
    module = new WebAssembly.Module(bytes)
  } catch (error) {
    finish(outbox, describeFailure(error))
    return
  }
  const system = new DeterministicWasi()
  let program = () => instantiate(module, system)
  if (compilation === 'ahead') {
    for (let count = 0; count < rehearsals; count += 1) rehearse()
    if (!hasStartSection(bytes)) program = instantiateAhead(program)
  }
  outbox.put('ready', new Uint8Array())
  outbox.flush()
  runTask(program, system, readTask(openInput()), outbox)
}

/** Binds a program before its job is there. What goes wrong is said when the job asks. */
function instantiateAhead(program: BoundProgram): BoundProgram {
  try {
    const instance = program()
    return () => instance
  } catch {
    return program
  }
}

main(process.argv[2] ?? '', process.argv[3] ?? 'lazy')
