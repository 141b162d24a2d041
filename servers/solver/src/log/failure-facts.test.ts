import { LilypadError } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { failureFacts } from './failure-facts.ts'

test.each([
  [
    'the address of the RPC',
    Object.assign(new Error('URL: https://rpc.example/secret'), { shortMessage: 'HTTP request failed.' }),
  ],
  ['an address in any message', new Error('cannot reach https://user:secret@rpc.example')],
  ['the values of a query', new Error('Failed query: insert into "jobs"\nparams: secret')],
  ['any of it in a cause', new LilypadError('INTERNAL', 'Failed.', { cause: new Error('x\nparams: secret') })],
])('does not log %s', (_name, error) => {
  expect(JSON.stringify(failureFacts(error))).not.toContain('secret')
})
