import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { ContentStore } from '../src/store/content-store.ts'

const writer = fileURLToPath(new URL('store-writer.ts', import.meta.url))
const quotaBytes = 400_000_000

/** Runs a writer and kills it after it has promised a few blobs, at a moment nobody has chosen. */
async function promiseAndDie(folder: string, seed: number): Promise<readonly [Bytes32, number][]> {
  const args = ['--conditions=source', '--disable-warning=ExperimentalWarning', writer, folder, String(seed)]
  const child = spawn(process.execPath, [...args, String(quotaBytes)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const out: string[] = []
  child.stdout.setEncoding('utf8')
  let killing: NodeJS.Timeout | undefined
  child.stdout.on('data', (text: string) => {
    out.push(text)
    killing ??= setTimeout(() => child.kill('SIGKILL'), (seed * 37) % 90)
  })
  await once(child, 'close')
  clearTimeout(killing)
  const lines = out
    .join('')
    .split('\n')
    .filter((line) => /^0x[0-9a-f]{64} \d+$/.test(line))
  return lines.map((line) => {
    const [digest, bytes] = line.split(' ')
    // The pattern above has both.
    return [digest as Bytes32, Number(bytes)]
  })
}

test('a store that is killed at any moment has what it promised, and nothing that nobody will ever fetch or count', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lilypad-kill-'))
  try {
    const promised: [Bytes32, number][] = []
    for (let seed = 1; seed <= 12; seed += 1) {
      const now = await promiseAndDie(folder, seed)
      expect(now.length).toBeGreaterThan(0)
      promised.push(...now)
      const store = await ContentStore.open(folder, { quotaBytes })
      for (const [sha256, bytes] of promised) {
        const path = await store.findExact({ sha256, bytes })
        expect(path, `${sha256} of ${seed}`).toBeDefined()
      }
      expect(await readdir(join(folder, 'trash'))).toEqual([])
      const incoming = await readdir(join(folder, 'incoming'))
      // At most the one resumable transfer of each life that was cut.
      expect(incoming.length).toBeLessThanOrEqual(seed)
      for (const name of incoming) expect(name).toMatch(/^[0-9a-f]{64}$/)
    }
    const store = await ContentStore.open(folder, { quotaBytes })
    for (const [sha256] of promised)
      expect(
        `0x${createHash('sha256')
          .update(await readFile(store.pathOf(sha256)))
          .digest('hex')}`,
      ).toBe(sha256)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
