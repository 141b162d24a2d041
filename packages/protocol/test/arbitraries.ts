import fc from 'fast-check'
import type { Hex } from '../src/primitives/hex.ts'

export const hex = (bytes: number): fc.Arbitrary<Hex> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((value) => `0x${Buffer.from(value).toString('hex')}` as const)
export const bytes32 = hex(32)
export const address = hex(20)
export const amount = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })

/** Names that an object has without being asked. */
export const prototypeNames = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf']

/** JSON that strangers may send: any shape, with names and text that break careless code. */
export const foreignJson: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  text: fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('', '0', '0x', '\u0000', '\ud800', '{text}', '../..', '9'.repeat(50), ...prototypeNames),
  ),
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, -0, -1, 2 ** 53, 1e308, 0.5),
    tie('text'),
    fc.double(),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(tie('text'), tie('value')), { maxLength: 5 }).map((entries) => {
      const object: Record<string, unknown> = {}
      // As JSON.parse does it: `__proto__` becomes a member like any other.
      for (const [name, value] of entries)
        Object.defineProperty(object, String(name), { value, enumerable: true, configurable: true, writable: true })
      return object
    }),
  ),
})).value
