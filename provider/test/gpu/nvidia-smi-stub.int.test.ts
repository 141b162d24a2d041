import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { discoverGpus } from '../../src/gpu/discover-gpus.ts'
import { createToolRunner } from '../../src/gpu/run-tool.ts'

const uuid = 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763'
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-smi-'))
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

/** Runs the discovery with a tool of the vendor's name that is this shell script. */
async function discoverWith(script: string, timeoutMilliseconds = 10_000) {
  await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\n${script}\n`)
  await chmod(join(folder, 'nvidia-smi'), 0o755)
  return discoverGpus({ run: createToolRunner({ path: `${folder}:/usr/bin:/bin`, timeoutMilliseconds }) })
}

test('asks the tool on the path, and gives it nothing of this process', async () => {
  vi.stubEnv('LILYPAD_KEY_FILE', '/secret')
  const { gpus, problems } = await discoverWith(
    `env > ${folder}/env; echo "${uuid}, Stub of \${LILYPAD_KEY_FILE:-nothing}, 15360, 535.1, 7.5, [N/A]"`,
  )
  expect(problems).toEqual([])
  expect(gpus).toEqual([
    {
      uuid,
      vendor: 'nvidia',
      name: 'Stub of nothing',
      memoryBytes: 15360 * 1024 ** 2,
      driver: '535.1',
      computeCapability: '7.5',
    },
  ])
})

test.each<[string, string, string, number?]>([
  ['hangs', 'exec sleep 60', 'it did not answer in time', 300],
  ['writes without end', 'exec yes', 'it wrote too much'],
  ['fails', `echo "${uuid}, Half, 15360, 535.1, 7.5, [N/A]"; exit 9`, 'it ended with 9'],
])('a tool that %s gives no GPU', async (_, script, reason, timeout) => {
  expect(await discoverWith(script, timeout)).toEqual({
    gpus: [],
    problems: [`nvidia-smi is here and does not work: ${reason}`],
  })
})
