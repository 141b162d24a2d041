import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'

/** What a caller was told and may rely on from then on, one line each, on disk before the caller goes on. */
export function openPromiseFile(path: string): (promise: string) => void {
  const file = openSync(path, 'a', 0o600)
  process.once('exit', () => closeSync(file))
  return (promise) => {
    writeSync(file, `${promise}\n`)
    fsyncSync(file)
  }
}

/** All promises of a file; a line that a kill cut off was never relied on. */
export function readPromises(path: string): readonly string[] {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
}
