import { runCli } from './cli.ts'

const stop = new AbortController()
// The first signal lets the benchmark at hand take down what it started; a second one ends the process as it is.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

const print = (stream: NodeJS.WriteStream) => (line: string) => void stream.write(`${line}\n`)
process.exitCode = await runCli(
  process.argv.slice(2),
  { stdout: print(process.stdout), stderr: print(process.stderr) },
  stop.signal,
)
