// Writes blobs for ever and says which are promised: started and killed by kill.int.test.ts.
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { ContentStore } from '../src/store/content-store.ts'

const [folder = '', seed = '0', quota = '0'] = process.argv.slice(2)
const store = await ContentStore.open(folder, { quotaBytes: Number(quota) })

for (let index = 0; ; index += 1) {
  const content = Buffer.alloc(20_000 + (index % 7) * 30_000, `${seed}-${index}-`)
  const sha256: Bytes32 = `0x${createHash('sha256').update(content).digest('hex')}`
  async function* chunks() {
    for (let start = 0; start < content.length; start += 10_000) yield content.subarray(start, start + 10_000)
  }
  // Every third is promised; the others come and go, so that the kill falls also into evictions and transfers.
  if (index % 3 === 0) store.pin('job', [sha256])
  if (index % 2 === 0) await store.receive(sha256, chunks(), { maxBytes: content.length })
  else await store.write({ sha256, bytes: content.length }, (offset) => ({ offset, chunks: chunks() }))
  // A write to a pipe or file is in the kernel when it returns: no kill takes it back.
  if (index % 3 === 0) writeSync(1, `${sha256} ${content.length}\n`)
}
