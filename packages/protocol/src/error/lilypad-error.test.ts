import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { foreignJson } from '../../test/arbitraries.ts'
import { InvalidRequestError, parseWire } from './common-errors.ts'
import { type ErrorCode, errorCodes, errorTable } from './error-table.ts'
import { ErrorBody, fromErrorBody, LilypadError, toLilypadError } from './lilypad-error.ts'

describe('the table', () => {
  test.each(errorCodes)('%s has a row for every audience', (code) => {
    const row = errorTable[code]
    expect(code).toMatch(/^[A-Z][A-Z0-9_]*$/)
    expect(row.http).toBeGreaterThanOrEqual(400)
    expect(row.http).toBeLessThan(600)
    expect(['shown', 'reference']).toContain(row.mcp)
    expect(['info', 'warn', 'error']).toContain(row.log)
    expect(row.openai === 'server_error', 'a fault of ours and no other is a server error').toBe(row.http >= 500)
    expect(new LilypadError(code, 'x').row).toBe(row)
  })

  test('what can only be ours to repair is the one thing not shown to a model', () => {
    expect(errorCodes.filter((code) => errorTable[code].mcp === 'reference')).toEqual(['INTERNAL'])
  })

  test('the codes are stable: nobody removes one', () => {
    expect(errorCodes).toEqual(
      expect.arrayContaining([
        'MODULE_UNKNOWN',
        'INPUTS_INVALID',
        'PRICE_OVER_CAP',
        'QUOTE_EXPIRED',
        'WRONG_CHAIN',
        'INSUFFICIENT_BALANCE',
        'RPC_UNREACHABLE',
        'PROVIDER_GONE',
      ]),
    )
  })
})

describe('LilypadError', () => {
  const error = new LilypadError('PRICE_OVER_CAP', 'Too much.', {
    details: ['Maximum: 1   Price: 2'],
    hint: 'raise the maximum',
    cause: new Error('secret 0xdeadbeef'),
  })

  test('is a sentence, then facts, then what was charged and what to do', () => {
    expect(error.message).toMatchInlineSnapshot(`
      "Too much.
        Maximum: 1   Price: 2
        Charged: none
        Hint: raise the maximum"
    `)
  })

  test('travels without its cause', () => {
    expect(error.toBody()).toMatchInlineSnapshot(`
      {
        "error": {
          "charged": "none",
          "code": "PRICE_OVER_CAP",
          "details": [
            "Maximum: 1   Price: 2",
          ],
          "docs": "docs/errors.md#price-over-cap",
          "hint": "raise the maximum",
          "message": "Too much.",
          "retryable": false,
        },
      }
    `)
    for (const shown of [error.message, String(error), JSON.stringify(error), JSON.stringify(error.toBody())])
      expect(shown).not.toContain('secret')
  })

  test('comes back over the wire as it was', () => {
    const options = fc.record(
      {
        details: fc.array(fc.string(), { maxLength: 10 }),
        hint: fc.string({ minLength: 1 }),
        charged: fc.oneof(fc.constantFrom('none', 'reserved', 'unknown'), fc.nat().map(String)) as fc.Arbitrary<'none'>,
        retryable: fc.boolean(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.constantFrom(...errorCodes), fc.string(), options, (code, message, given) => {
        const sent = new LilypadError(code, message, given)
        const body = JSON.parse(JSON.stringify(sent.toBody())) as unknown
        const back = fromErrorBody(body, { code: 'INTERNAL', message: 'fallback' })
        expect(back.toBody()).toEqual(sent.toBody())
        expect(back.message).toBe(sent.message)
      }),
    )
  })

  test('an error too long for the wire is cut, and had been lost', () => {
    const long = new LilypadError('INVALID_REQUEST', 'a'.repeat(9000), {
      details: Array.from({ length: 100 }, () => 'b'.repeat(9000)),
      hint: 'c'.repeat(9000),
    })
    expect(ErrorBody.safeParse(long.toBody()).success).toBe(true)
    expect(fromErrorBody(long.toBody(), { code: 'INTERNAL', message: '' }).code).toBe('INVALID_REQUEST')
  })

  test('walk finds the first cause that fits, and ends where causes go round', () => {
    const inner = new RangeError('inner')
    const outer = new LilypadError('INTERNAL', 'x', { cause: new Error('middle', { cause: inner }) })
    expect(outer.walk((cause) => cause instanceof RangeError)).toBe(inner)
    expect(outer.walk((cause) => cause === outer)).toBe(outer)
    expect(outer.walk((cause) => cause instanceof SyntaxError)).toBeUndefined()
    inner.cause = outer
    expect(outer.walk((cause) => cause instanceof SyntaxError)).toBeUndefined()
    expect(new LilypadError('INTERNAL', 'x', { cause: 'text' }).walk((cause) => cause === 'text')).toBe('text')
  })

  test('is known by its mark, also from another copy of this package', () => {
    expect(LilypadError.is(error)).toBe(true)
    expect(LilypadError.is({ [Symbol.for('lilypad.error')]: true })).toBe(true)
    for (const other of [new Error('x'), null, undefined, 'text', 1, {}]) expect(LilypadError.is(other)).toBe(false)
  })

  test('anything else that was thrown becomes INTERNAL, without its text', () => {
    expect(toLilypadError(error)).toBe(error)
    for (const thrown of [new Error('password hunter2'), 'hunter2', undefined, { a: 'hunter2' }]) {
      const ours = toLilypadError(thrown)
      expect(ours.code).toBe('INTERNAL')
      expect(JSON.stringify([ours.message, ours.toBody()])).not.toContain('hunter2')
      expect(ours.cause).toBe(thrown)
    }
  })
})

describe('fromErrorBody', () => {
  const fallback = { code: 'SOLVER_UNREACHABLE', message: 'status 502' } as const

  test('makes something of anything', () => {
    fc.assert(
      fc.property(foreignJson, (body) => {
        const made = fromErrorBody({ error: body }, fallback)
        expect(errorCodes).toContain(made.code)
        expect(made.charged).toMatch(/^(none|reserved|unknown|\d+)$/)
      }),
    )
  })

  test.each<[string, unknown, Partial<Record<'code' | 'shortMessage' | 'charged', string>>]>([
    ['no body', undefined, { code: 'SOLVER_UNREACHABLE', shortMessage: 'status 502' }],
    ['a page', '<html>', { code: 'SOLVER_UNREACHABLE' }],
    [
      'a code of the future',
      { error: { code: 'NEW', message: 'x' } },
      { code: 'SOLVER_UNREACHABLE', shortMessage: 'x' },
    ],
    ['a name of the prototype', { error: { code: 'constructor', message: 'x' } }, { code: 'SOLVER_UNREACHABLE' }],
    [
      'a charge that is no amount',
      { error: { code: 'INTERNAL', message: 'x', charged: '1 LILY' } },
      { charged: 'unknown' },
    ],
  ])('%s', (_, body, expected) => expect(fromErrorBody(body, fallback)).toMatchObject(expected))
})

describe('parseWire', () => {
  test('names each field that does not fit', () => {
    const schema = z.strictObject({ a: z.int(), b: z.strictObject({ c: z.string() }) })
    const parse = () => parseWire(schema, { a: 1.5, b: { c: 1, d: 2 } }, 'thing')
    expect(parse).toThrow(InvalidRequestError)
    expect(parse).toThrow(/^The thing is not valid\.\n {2}a: .*\n {2}b\.c: .*\n {2}b: .*d/)
  })

  test('does not repeat what a stranger wrote without end', () => {
    const code: ErrorCode = 'INVALID_REQUEST'
    try {
      parseWire(z.strictObject({}), { ['x'.repeat(100_000)]: 1 }, 'thing')
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code })
      expect(String(error).length).toBeLessThan(2000)
    }
  })
})
