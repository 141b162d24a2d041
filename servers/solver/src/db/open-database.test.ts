import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { expect, test } from 'vitest'
import { openDatabase } from './open-database.ts'
import { attestations } from './schema.ts'

test('tidying gives back the room of what providers said of their sandboxes before', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lilypad-database-'))
  const { database, tidy, close } = await openDatabase({ directory: join(folder, 'db'), tidyBytes: 0 })
  const measure = async () => {
    const bytes = sql<number>`pg_total_relation_size('attestations')`.mapWith(Number)
    return (await database.select({ bytes }).from(sql`(select 1) as one`))[0]?.bytes ?? 0
  }
  try {
    await tidy()
    const before = await measure()
    const attestation = randomBytes(32_768).toString('hex')
    for (const digest of ['0x01', '0x02', '0x03', '0x04'] as const) {
      await database.insert(attestations).values({ digest, provider: '0x0a', attestation, receivedAt: 1 })
      await database.delete(attestations)
    }
    expect(await measure()).toBeGreaterThan(before + 4 * 32_768)
    await tidy()
    expect(await measure()).toBeLessThan(before + 4 * 32_768)
  } finally {
    await close()
    await rm(folder, { recursive: true })
  }
})
