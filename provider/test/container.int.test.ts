import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { attestationDigest, type ModuleManifest } from '@lilypad-agents/protocol'
import { signingDomain, toLilypadChain } from '@lilypad-agents/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildBusyboxImage, findDockerProblem } from '../fixtures/busybox-image.ts'
import { createLogger } from '../src/log/logger.ts'
import { createExecutors } from '../src/run/create-executors.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { testManifest } from './test-manifest.ts'
import { startTestMarket, type TestMarket } from './test-market.ts'

const problem = await findDockerProblem()

describe.skipIf(problem !== undefined)(`a market of container jobs${problem ? ` (${problem})` : ''}`, () => {
  let market: TestMarket
  let provider: Provider
  let digest: string
  let outside: Server
  let host: string

  const manifestOf = (name: string, script: string, change: Partial<ModuleManifest> = {}): ModuleManifest => ({
    ...testManifest({ name }),
    runtime: {
      kind: 'container',
      image: { digest, reference: 'lilypad-test/busybox' },
      args: ['/bin/sh', '-c', script, 'sh'],
      stdin: 'none',
      env: {},
    },
    determinism: 'none',
    ...change,
  })

  beforeAll(async () => {
    digest = await buildBusyboxImage()
    outside = createServer((_request, response) => response.end('from outside\n')).listen(0, '127.0.0.1')
    await once(outside, 'listening')
    host = `api.example.org:${(outside.address() as AddressInfo).port}`
    market = await startTestMarket()
    const actor = await market.createActor()
    const { stateDir } = market.createNode(actor, 'containers')
    provider = await startProvider({
      network: market.network,
      key: actor.key,
      stateDir,
      executors: createExecutors(['docker'], {
        stateDir,
        egress: {
          policy: 'declared',
          hosts: [host],
          lookup: (_name, options, callback) =>
            options.all === true
              ? callback(null, [{ address: '127.0.0.1', family: 4 }])
              : callback(null, '127.0.0.1', 4),
        },
      }),
      refreshSeconds: 0.3,
      log: createLogger(process.env.TEST_LOG ?? 'silent'),
    })
  }, 120_000)
  afterAll(async () => {
    await provider?.close()
    await market?.close()
    outside?.close()
  })

  test('a receipt names what the node has shown of its sandbox, and whoever verifies it sees that it holds', async () => {
    await market.publish(manifestOf('box', 'echo fine > /out/result.txt'))
    const orderHash = await market.order('box')
    const { verification, job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 60 })
    expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(verification.checks).toContainEqual({
      name: 'attestation',
      ok: true,
      evidence: expect.stringMatching(/^\d+ checks of the sandbox, run at \d+$/),
    })
    const { attestation } = await market.lilypad.exportBundle(orderHash)
    const domain = signingDomain(toLilypadChain(market.network))
    const named = attestation && attestationDigest(attestation, domain)
    expect(attestation?.provider).toBe(provider.address)
    expect(job.delivery?.manifest.predicate.machine.preflight).toBe(named)
    const { attestation: shown } = await provider.status()
    expect(shown).toMatchObject({ digest: named, missed: [] })
  })

  test('a module that declares hosts reaches them, and its receipt says what went through', async () => {
    const network = { hosts: [host] }
    await market.publish(manifestOf('fetcher', `wget -q -O /out/result.txt http://${host}/`, { network }))
    const { outputs, job, verification } = await market.lilypad.complete(await market.order('fetcher'), {
      timeoutSeconds: 60,
    })
    expect(Buffer.from((await outputs[0]?.read()) ?? []).toString()).toBe('from outside\n')
    expect(verification.ok).toBe(true)
    expect(job.delivery?.manifest.predicate.executor.isolation).toMatchObject({
      network: 'declared hosts, by proxy',
      egressHosts: host,
      egressConnections: 1,
    })
  })

  test('a module that declares other hosts than the operator allows is not offered', async () => {
    await market.publish(manifestOf('other', 'true', { network: { hosts: ['other.example.org:443'] } }))
    await market.publish(manifestOf('later', 'echo fine > /out/result.txt'))
    // The later one is offered, so the provider has seen both.
    await market.order('later')
    expect((await market.lilypad.solver.getModule('other')).offers).toEqual([])
  })
})
