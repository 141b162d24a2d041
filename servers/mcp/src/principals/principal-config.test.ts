import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, SignedGrant, sessionGrantType, zeroBytes32 } from '@lilypad-agents/protocol'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { seedConfig, seedNetwork } from '../../test/seed-jobs.ts'
import type { McpConfig } from '../config/config.ts'
import { openAllotments } from './allotments.ts'
import { type PrincipalTerms, toPrincipalConfig } from './principal-config.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-principal-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const lily = 10n ** 18n
const key = `0x${'ab'.repeat(32)}` as const
let folders = 0

function setUp(principalWallet: 'own' | 'shared' = 'shared', change: Partial<McpConfig> = {}) {
  const directory = join(folder, String(folders++))
  const server = seedConfig('/state', { inputDirectory: '/in', outputDirectory: '/out', ...change })
  const allotments = openAllotments(directory, server.policy)
  const http = {
    host: '127.0.0.1',
    allowedHosts: [],
    allowedOrigins: [],
    auth: { kind: 'token', file: '/t' },
    trustedProxies: 0,
    requestsPerMinute: 1,
    principalsDirectory: directory,
    principalWallet,
    principalLimits: { perDay: lily, total: 5n * lily },
  } as const
  const open = (principal: string, terms: Partial<PrincipalTerms> = {}) =>
    toPrincipalConfig({
      server,
      http,
      principal,
      allotments,
      terms: { kind: 'call', limits: {}, mayHaveWallet: true, takesShare: true, ...terms } as PrincipalTerms,
    })
  const place = (principal: string, name: string, text: string) => {
    mkdirSync(join(directory, principal), { recursive: true })
    writeFileSync(join(directory, principal, name), text, { mode: 0o600 })
  }
  return { open, place, directory, server, close: allotments.close }
}

test('each has folders of its own and a share of the wallet', () => {
  const { open, directory, server, close } = setUp()
  expect(open('alice')).toMatchObject({
    principal: 'alice',
    stateDirectory: join(directory, 'alice', 'state'),
    inputDirectory: '/in/alice',
    outputDirectory: '/out/alice',
    signer: server.signer,
    policy: { perJob: lily, perDay: lily, total: 5n * lily },
  })
  close()
})

test.each([
  [
    'below those of the server count',
    { perJob: lily / 10n, perDay: lily / 2n },
    { perJob: lily / 10n, perDay: lily / 2n, total: 5n * lily },
  ],
  [
    'may be above the usual share',
    { perDay: 3n * lily, total: 30n * lily },
    { perJob: lily, perDay: 3n * lily, total: 30n * lily },
  ],
  [
    'are never above those of the server',
    { perJob: 1000n * lily, perDay: 1000n * lily, total: 1000n * lily },
    { perJob: lily, perDay: 10n * lily, total: 100n * lily },
  ],
])('limits of a token %s', (_what, limits, policy) => {
  const { open, close } = setUp()
  expect(open('alice', { limits }).policy).toEqual(policy)
  close()
})

test('a module that the server does not allow is allowed to nobody', () => {
  const policy = { perJob: lily, perDay: lily, total: lily, modules: ['tts'] }
  const { open, close } = setUp('shared', { policy })
  expect(open('alice').policy.modules).toEqual(['tts'])
  close()
})

test('without a share left, without leave to spend, or without a wallet that is shared, a principal reads', () => {
  const { open, close } = setUp()
  for (let count = 0; count < 10; count++) expect(open(`p${count}`).signer).toBeDefined()
  expect(open('late').signer).toBeUndefined()
  expect(open('p0').signer).toBeDefined()
  expect(open('reader', { mayHaveWallet: false }).signer).toBeUndefined()
  close()
  const own = setUp('own')
  expect(own.open('alice').signer).toBeUndefined()
  own.close()
})

test('old jobs are finished with the share that was there, and no new one is given for them', () => {
  const { open, close } = setUp()
  expect(open('alice', { kind: 'resume' }).signer).toBeUndefined()
  open('alice', { limits: { perDay: lily / 2n, total: lily } })
  expect(open('alice', { kind: 'resume' })).toMatchObject({ policy: { perDay: lily / 2n, total: lily } })
  close()
})

test('a key of its own pays, within the limits of the server, its token and its grant', () => {
  const { open, place, server, close } = setUp('own')
  place('alice', 'key', key)
  const alone = open('alice')
  expect(alone.signer?.address).toBe(createSigner(key).address)
  expect(alone.signer?.address).not.toBe(server.signer?.address)
  expect(alone.grant).toBeUndefined()
  expect(alone.policy).toEqual({ perJob: lily, perDay: 10n * lily, total: 100n * lily })

  const payer = createSigner(`0x${'cd'.repeat(32)}`)
  const grant = {
    payer: payer.address,
    key: createSigner(key).address,
    token: seedNetwork.contracts.lilyToken as never,
    perJob: lily / 4n,
    perDay: 50n * lily,
    total: 60n * lily,
    validUntil: 4_000_000_000,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 1n,
  }
  const domain = { chainId: seedNetwork.chainId, vault: seedNetwork.contracts.jobVault as never }
  const signed = { grant, signature: sessionGrantType.sign(domain, grant, payer) }
  place('alice', 'grant.json', JSON.stringify(z.encode(SignedGrant, signed)))
  const granted = open('alice', { limits: { perDay: 2n * lily } })
  expect(granted.grant).toEqual(signed)
  expect(granted.policy).toEqual({ perJob: lily / 4n, perDay: 2n * lily, total: 60n * lily })
  place('bob', 'grant.json', JSON.stringify(z.encode(SignedGrant, signed)))
  expect(open('bob').grant).toBeUndefined()
  close()
})

test('the grant of the server goes with its key, and with no other', () => {
  const grant = { grant: {}, signature: '0x' } as never
  const { open, place, close } = setUp('shared', { grant })
  expect(open('bob').grant).toBe(grant)
  place('alice', 'key', key)
  expect(open('alice').grant).toBeUndefined()
  close()
})

test('a key that others can read is refused, not passed over for the key of the server', () => {
  const { open, place, close } = setUp()
  place('alice', 'key', 'not a key')
  expect(() => open('alice')).toThrow(/does not hold a private key/)
  close()
})
