import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sha256 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { Journal } from '../journal/journal.ts'
import { findEarnings } from './find-earnings.ts'

test('looks into a journal while its provider has it open', () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'lilypad-earnings-'))
  expect(findEarnings({ stateDir })).toBeUndefined()
  const journal = Journal.open(join(stateDir, 'provider'))
  journal.decline(sha256('order'), { code: 'NONCE_USED', reason: '' }, 1)
  journal.noteSettlement({ transaction: sha256('transaction'), lanes: 1, jobs: 2, now: 3 })
  expect(findEarnings({ stateDir })).toEqual({
    jobs: { accepted: 0, finished: 0, delivered: 0, acknowledged: 0, closed: 0, declined: 1 },
    earnings: { unsettled: 0n, settled: 0n, settledJobs: 0, unsettledJobs: 0 },
    settlements: [{ transaction: sha256('transaction'), lanes: 1, jobs: 2, sentAt: 3, blockNumber: undefined }],
  })
  journal.close()
  rmSync(stateDir, { recursive: true, force: true })
})
