// usage: npx node examples/quickstart/quickstart.ts [state folder]
// Buys one job on the local network that `npm start` runs, checks it, and exits non-zero when anything is wrong.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createSigner, parseWire, SignedGrant } from '@lilypad-agents/protocol'
import { createLilypad, formatTokenAmount, parseTokenAmount, verifyBundle } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile, sqliteStore } from '@lilypad-agents/sdk/node'

const state = process.argv[2] ?? '.lilypad'
const lilypad = createLilypad({
  network: readNetworkFile(`${state}/network.json`),
  store: sqliteStore(`${state}/quickstart`),
  signer: createSigner(readKeyFile(`${state}/keys/session.key`)),
  grant: parseWire(SignedGrant, JSON.parse(readFileSync(`${state}/grant.json`, 'utf8')), 'grant'),
  policy: { perJob: parseTokenAmount('0.01'), perDay: parseTokenAmount('1'), total: parseTokenAmount('10') },
})
try {
  const { quote } = await lilypad.quote({ module: 'tts', inputs: { text: 'Compute that nobody has to trust.' } })
  const { job, outputs, verification } = await lilypad.run(quote.quoteId)
  console.log(`${outputs[0]?.path}: ${outputs[0]?.bytes} bytes for ${formatTokenAmount(job.price ?? 0n)} LILY`)

  // Everything below only proves that the lines above did what they say.
  assert.ok(verification.ok)
  const [speech] = outputs
  assert.ok(speech)
  const bytes = await speech.read()
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), 'RIFF')
  assert.ok(job.price !== null && job.price > 0n && job.price <= quote.maxPrice)

  // The same quote again is the same job: a retry cannot pay twice.
  assert.equal((await lilypad.run(quote.quoteId)).job.orderHash, job.orderHash)

  const settled = await lilypad.waitForSettlement(job.orderHash, { timeoutSeconds: 60 })
  assert.equal(settled.settlement?.price, job.price)
  assert.ok((await lilypad.verify(job.orderHash, { chain: true })).ok)

  // A receipt does not vouch for other bytes than the ones delivered.
  const bundle = await lilypad.exportBundle(job.orderHash)
  const forged = await verifyBundle(bundle, {
    findOutput: () => ({ bytes: speech.bytes, sha256: `0x${'00'.repeat(32)}` }),
  })
  assert.equal(forged.ok, false)
  console.log(`verified, settled in ${settled.settlement?.transaction}`)
} finally {
  await lilypad.close()
}
