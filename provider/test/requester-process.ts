import { createSigner, type Hex } from '@lilypad-agents/protocol'
import { createLilypad } from '@lilypad-agents/sdk'
import { readNetworkFile, sqliteStore } from '@lilypad-agents/sdk/node'

/** A requester as a process of its own, that a test can kill: orders what it is given, says what job that is, and reads it. */
const { LILYPAD_NETWORK_FILE = '', TEST_STORE = '', TEST_KEY = '', TEST_REQUEST = '' } = process.env
const limit = 10n ** 24n
const lilypad = createLilypad({
  network: readNetworkFile(LILYPAD_NETWORK_FILE),
  store: sqliteStore(TEST_STORE),
  signer: createSigner(TEST_KEY as Hex),
  policy: { perJob: limit, perDay: limit, total: limit, acknowledgeSteps: true },
})
const { quote } = await lilypad.quote({ module: 'parrot', inputs: { request: TEST_REQUEST } })
const { orderHash } = await lilypad.order(quote.quoteId)
process.stdout.write(`${orderHash}\n`)
for await (const _ of lilypad.stream(orderHash));
