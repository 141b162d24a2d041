import { createHash } from 'node:crypto'
import { inflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { architectures, buildAttack, findCompiler, sourceDigest } from '../../attack/build.ts'
import { createAttackImage } from '../../src/preflight/attack-image.ts'
import { attackPrograms, attackSourceDigest } from '../../src/preflight/attack-programs.ts'

describe('attack programs', () => {
  test('were built from the source that is here', () => {
    expect(sourceDigest(), 'build them again: node provider/attack/build.ts').toBe(attackSourceDigest)
    expect(architectures).toEqual(Object.keys(attackPrograms))
  })

  test.each(['x86_64', 'aarch64'] as const)('come out the same from the same compiler (%s)', (architecture) => {
    const { sha256, compiler, deflated } = attackPrograms[architecture]
    const committed = inflateRawSync(Buffer.from(deflated, 'base64'))
    expect(`0x${createHash('sha256').update(committed).digest('hex')}`).toBe(sha256)
    const found = findCompiler(architecture)
    if (found !== compiler) return console.warn(`not rebuilt for ${architecture}: expected ${compiler}, found ${found}`)
    expect(buildAttack(architecture).equals(committed)).toBe(true)
  })

  test('have an image with one name on every machine', () => {
    expect(createAttackImage('x86_64')).toEqual(createAttackImage('x86_64'))
    expect(createAttackImage('x86_64')?.tag).not.toBe(createAttackImage('aarch64')?.tag)
    expect(createAttackImage('riscv64')).toBeUndefined()
  })
})
