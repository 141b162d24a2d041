// Stands for a provider that is killed while a model server runs: `node killed-server-provider.ts <state> <node id> <image> <folder>`.
// Without an image, the server is a trusted process.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { chatRequest, serverManifest, serverProgram } from '../../fixtures/server-manifest.ts'
import { ServerExecutor } from '../../src/executors/server/server-executor.ts'

const [stateDirectory = '', nodeId = '', image = '', folder = ''] = process.argv.slice(2)
const { manifest, moduleVersion } = serverManifest(image === '' ? {} : { image })
const outputDirectory = join(folder, 'killed-out')
mkdirSync(outputDirectory)
const executor = new ServerExecutor({
  stateDirectory,
  nodeId,
  ...(image === '' ? { hasContainers: false, trusted: { [moduleVersion]: serverProgram } } : {}),
})
await executor.run({
  id: '0x00',
  runtime: manifest.runtime,
  args: [],
  env: {},
  inputs: [],
  limits: manifest.limits,
  outputDirectory,
  server: {
    moduleVersion,
    request: chatRequest('ready'),
    caps: { inputUnits: 1000, outputUnits: 64 },
    isMetered: true,
  },
})
process.stdout.write('ready\n')
setInterval(() => {}, 1000)
