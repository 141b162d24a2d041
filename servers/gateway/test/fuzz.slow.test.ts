import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestGateway, type TestGateway } from './test-gateway.ts'

// `.ci/gateway-fuzz` installs it, and names its command.
const command = process.env.SCHEMATHESIS ?? ''

describe.skipIf(command === '')('requests made from the document', () => {
  let gateway: TestGateway
  let key: string

  beforeAll(async () => {
    gateway = await startTestGateway()
    key = (await gateway.openAccount({ credit: 10n ** 21n })).key
  }, 120_000)
  afterAll(() => gateway?.close())

  test('never meet a fault of ours, hang, or an answer that is not as the document says', async () => {
    const child = spawn(
      command,
      [
        // One worker: with more, what makes the requests trips over its own caches.
        ...['run', `${gateway.url}/openapi.json`, '--header', `Authorization: Bearer ${key}`, '--workers', '1'],
        ...['--phases', 'examples,coverage,fuzzing', '--max-examples', process.env.FUZZ_EXAMPLES ?? '30'],
        ...['--seed', process.env.FUZZ_SEED ?? '1', '--request-timeout', '30', '--continue-on-failure', '--no-shrink'],
        // What is not known is passed over, as clients expect; what is known but cannot be done here is refused.
        ...['--exclude-checks', 'negative_data_rejection,positive_data_acceptance,unsupported_method'],
        ...['--suppress-health-check', 'all', '--warnings', 'off'],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => process.stdout.write(bytes))
    const [code] = await once(child, 'close')
    expect(code).toBe(0)
    // Whatever came, it is still well, and holds nothing back for requests that are over.
    expect(await fetch(`${gateway.url}/ready`).then(({ status }) => status)).toBe(200)
  }, 900_000)
})
