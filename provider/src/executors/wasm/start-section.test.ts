import { expect, test } from 'vitest'
import wabt from 'wabt'
import { hasStartSection } from './start-section.ts'

test('finds the start section of a module, also behind long ones, and none where there is none', async () => {
  const assembler = await wabt()
  const assemble = (text: string) => assembler.parseWat('module.wat', text).toBinary({}).buffer
  const rest = `(memory 4) (func $early) (data (i32.const 0) "${'x'.repeat(40_000)}") (func (export "_start"))`
  const types = Array.from({ length: 300 }, (_, index) => `(func (param ${'i32 '.repeat(index)}))`).join(' ')
  expect(hasStartSection(assemble(`(module ${rest} ${types})`))).toBe(false)
  expect(hasStartSection(assemble(`(module ${rest} ${types} (start $early))`))).toBe(true)
})
