import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { createVectors } from '../scripts/create-vectors.ts'
import { bundleForBrowser } from './bundle-for-browser.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

describe.each(['@lilypad-agents/protocol', '@lilypad-agents/sdk/verify', '@lilypad-agents/sdk'])('%s', (name) => {
  test('runs where there is no Node: its bundle imports nothing', async () => {
    const { code, inputs, outside } = await bundleForBrowser(`export * from '${name}'`)
    expect(outside).toEqual([])
    expect(inputs.filter((path) => path.startsWith('node:'))).toEqual([])
    expect(code).not.toMatch(/\b(?:from|import|require)\s*\(?\s*["']node:/)
    expect(inputs.filter((path) => /secp256k1\/(bindings|index)|keccak\/bindings/.test(path))).toEqual([])
  })
})

test('a bundle that does import Node is noticed', async () => {
  const { outside } = await bundleForBrowser(`export * from '@lilypad-agents/protocol/node'`)
  expect(outside.some((path) => path.startsWith('node:'))).toBe(true)
})

test('the verifying half needs protocol and pure cryptography only, no chain client', async () => {
  const { inputs } = await bundleForBrowser(`export * from '@lilypad-agents/sdk/verify'`)
  const packages = new Set(inputs.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []))
  expect([...packages].sort()).toEqual(['@noble/curves', '@noble/hashes', '@scure/base', 'zod'])
})

test('the shared vectors are those that the generator writes', async () => {
  const written: unknown = JSON.parse(readFileSync(`${root}contracts/test/vectors/eip712.json`, 'utf8'))
  expect(JSON.parse(JSON.stringify(await createVectors()))).toEqual(written)
  expect(readdirSync(`${root}contracts/test/vectors`)).toContain('eip712.json')
})
