import { sampleContracts } from '@lilypad-agents/sdk'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { readConfig } from './config.ts'

let folder: string
const key = `0x${'7'.repeat(64)}`
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-config-'))
  const address = `0x${'11'.repeat(20)}` as const
  const network = {
    name: 'local',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:8545',
    solverUrl: 'http://127.0.0.1:8600',
    contracts: sampleContracts(address),
  }
  writeFileSync(join(folder, 'network.json'), JSON.stringify(network))
  writeFileSync(join(folder, 'provider.key'), `${key}\n`, { mode: 0o600 })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))
const read = (environment: Record<string, string> = {}, args: readonly string[] = []) =>
  readConfig({ args, environment: { LILYPAD_STATE_DIR: folder, ...environment } })

test('finds network and key in the state directory, and has defaults for the rest', () => {
  expect(read()).toMatchObject({
    stateDir: folder,
    key,
    network: { chainId: 31_337 },
    modules: 'all',
    executors: ['wasm', 'docker'],
    priceFactorBips: 10_000,
    settlement: { maxJobs: 100, maxAgeSeconds: 2, announceAfterSeconds: 21_600 },
    logLevel: 'info',
    fault: undefined,
  })
})

test('a flag wins over a variable', () => {
  const { executors, modules, slots, network } = read({ LILYPAD_EXECUTORS: 'docker', LILYPAD_SLOTS: '3' }, [
    '--executors',
    'noop',
    '--modules',
    'tts, ocr',
    '--solver-url',
    'http://127.0.0.1:1',
  ])
  expect({ executors, modules, slots, solverUrl: network.solverUrl }).toEqual({
    executors: ['noop'],
    modules: ['tts', 'ocr'],
    slots: 3,
    solverUrl: 'http://127.0.0.1:1',
  })
})

test.each<[string, Record<string, string>, readonly string[], string]>([
  ['unknown executor', { LILYPAD_EXECUTORS: 'shell' }, [], 'LILYPAD_EXECUTORS'],
  ['slots', { LILYPAD_SLOTS: '0' }, [], 'LILYPAD_SLOTS'],
  ['unknown flag', {}, ['--key', key], '--key'],
  ['fault outside of a test', { LILYPAD_FAULT: 'accepted' }, [], 'crash tests only'],
  ['unknown fault', { LILYPAD_FAULT: 'whenever', NODE_ENV: 'test' }, [], 'LILYPAD_FAULT'],
  ['no key file', { LILYPAD_KEY_FILE: '/nowhere/provider.key' }, [], 'key file cannot be read'],
])('refuses %s', (_name, environment, args, expected) => {
  expect(() => read(environment, args)).toThrow(expected)
})

test('takes a fault in a test', () => {
  expect(read({ LILYPAD_FAULT: 'accepted', NODE_ENV: 'test' }).fault).toBe('accepted')
})
