import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { developmentKey, findFreePort, startAnvil } from '@lilypad-agents/cli'
import { type Address, createSigner } from '@lilypad-agents/protocol'
import { createChainClient, sampleContracts, toLilypadChain } from '@lilypad-agents/sdk'
import { assertDeployment, checkDeployment, creationOrder, deployContracts } from '@lilypad-agents/sdk/deploy'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const none: Address = `0x${'0'.repeat(40)}`
const recipient = createSigner(developmentKey).address
let folder: string
const anvils: Awaited<ReturnType<typeof startAnvil>>[] = []

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-deploy-'))
})
afterAll(async () => {
  await Promise.all(anvils.map((anvil) => anvil.close()))
  rmSync(folder, { recursive: true, force: true })
})

async function openChain() {
  const port = await findFreePort()
  anvils.push(await startAnvil({ port, logFile: join(folder, `${port}.log`) }))
  const chain = toLilypadChain({
    name: 'test',
    chainId: 31_337,
    rpcUrl: `http://127.0.0.1:${port}`,
    solverUrl: 'http://127.0.0.1:1',
    contracts: sampleContracts(none),
  })
  return createChainClient({ chain, privateKey: developmentKey })
}

describe('a deployment', () => {
  test('has the same addresses on two chains, also when it was interrupted, and belongs to the timelock alone', async () => {
    const first = await openChain()
    const deployment = await deployContracts(first, { recipient })
    expect(deployment.created.map(({ name }) => name)).toEqual(creationOrder)
    expect(deployment.created.every(({ transaction }) => transaction !== undefined)).toBe(true)
    const checks = await checkDeployment(first, { contracts: deployment.contracts, deployer: recipient })
    expect(checks.filter(({ isMet }) => !isMet)).toEqual([])
    assertDeployment(checks)

    const second = await openChain()
    // Something else happened on the second chain first, so that the account's own counter differs.
    await second.sendTransaction({ account: second.account ?? none, chain: second.chain, to: none, value: 1n })
    const interrupted = deployContracts(second, {
      recipient,
      onCreated: (name) => {
        if (name === 'agentRegistry') throw new TypeError('pulled the plug')
      },
    })
    await expect(interrupted).rejects.toThrow('pulled the plug')
    const resumed = await deployContracts(second, { recipient })
    expect(resumed.contracts).toEqual(deployment.contracts)
    expect(resumed.created.filter(({ transaction }) => transaction === undefined).length).toBe(
      creationOrder.indexOf('agentRegistry') + 1,
    )
    expect(resumed.created.map(({ initCodeHash }) => initCodeHash)).toEqual(
      deployment.created.map(({ initCodeHash }) => initCodeHash),
    )
    assertDeployment(await checkDeployment(second, { contracts: resumed.contracts, deployer: recipient }))
  }, 120_000)

  test('a wiring that is not as planned is refused', async () => {
    const chain = await openChain()
    const { contracts } = await deployContracts(chain, { recipient })
    const checks = await checkDeployment(chain, {
      contracts: { ...contracts, jobClaims: contracts.jobEscrow },
      deployer: recipient,
    })
    expect(() => assertDeployment(checks)).toThrow('not wired as planned')
  }, 120_000)
})
