// A process that shares a store with others: takes numbers from it, keeps a blob, and prints what it got.
import { sha256 } from '@lilypad-agents/protocol'
import { sqliteStore } from '../src/store/sqlite-store.ts'

const [directory = '', times = '0'] = process.argv.slice(2)
const store = sqliteStore(directory)
const numbers: number[] = []
for (let index = 0; index < Number(times); index++) {
  numbers.push(await store.transaction(({ next }) => next('shared')))
  const bytes = new TextEncoder().encode(`blob ${index}`)
  await store.putBlob(sha256(bytes), bytes)
}
const lane = await store.transaction(({ laneNumber }) => laneNumber())
await store.close()
console.log(JSON.stringify({ numbers, lane }))
