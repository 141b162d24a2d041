import { expect, test } from 'vitest'
import { explain, GatewayError, toGatewayError } from './gateway-error.ts'

test('reads what the gateway says', () => {
  const body = { error: { message: 'Too many requests.', metadata: { code: 'RATE_LIMITED', hint: 'wait' } } }
  const error = toGatewayError(body, 429, '7')
  expect(error).toMatchObject({
    status: 429,
    code: 'RATE_LIMITED',
    retryAfterSeconds: 7,
    message: 'Too many requests.',
  })
  expect(explain(error)).toEqual({ title: 'Too many requests', text: 'Wait 7 s, then send again.' })
})

test.each([
  [undefined, 502, 'soon'],
  ['<h1>Bad gateway</h1>', 502, null],
  [{ error: 'no' }, 500, '-1'],
])('of what is no error of ours, the status is told: %j', (body, status, retryAfter) => {
  const error = toGatewayError(body, status, retryAfter)
  expect(error).toMatchObject({ status, code: undefined, retryAfterSeconds: undefined })
  expect(error.message).toContain(String(status))
})

test.each([
  [0, 'cannot be reached'],
  [200, 'broke off'],
  [401, 'not accepted'],
  [402, 'credit'],
  [503, 'No provider'],
  [418, 'refused'],
])('status %i is told in words', (status, words) => {
  expect(explain(new GatewayError('x', { status })).title).toContain(words)
})
