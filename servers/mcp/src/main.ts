import { basename } from 'node:path'
import { installNodeCrypto } from '@lilypad-agents/protocol/node'
import { maySpend, type McpConfig } from './config/config.ts'
import { helpText } from './config/help-text.ts'
import { readCommand } from './config/read-command.ts'
import { createLogger, failureFacts, type Logger } from './log/logger.ts'
import { LilypadError } from '@lilypad-agents/protocol'
import { startMcpStdio } from './stdio/start-mcp-stdio.ts'
import { version } from './version.ts'

const closeMilliseconds = 4500

// Loaded only when it is wanted: Node's HTTP modules cost a stdio server a third of its start.
const startHttp = async (config: McpConfig, logger: Logger) =>
  (await import('./http/start-mcp-http.ts')).startMcpHttp(config, logger)

// As above, and because few servers sell.
const startSelling = async (config: McpConfig, logger: Logger) =>
  (await import('./x402/sell/start-sell.ts')).startSell(config, logger)

/** Runs until the client hangs up or the process is told to end. */
async function main(): Promise<void> {
  installNodeCrypto()
  const [node = 'node', script = 'lilypad-mcp', ...args] = process.argv
  // A host may run it on a Node that is part of itself; its user has a `node`.
  const launch = [/^node(\.exe)?$/.test(basename(node)) ? node : 'node', script]
  const command = readCommand({ args, env: process.env, launch })
  if (command.name === 'help' || command.name === 'version') {
    process.stdout.write(command.name === 'help' ? helpText() : `${version}\n`)
    return
  }
  if (command.name === 'token') {
    const { runTokenCommand } = await import('./commands/run-token-command.ts')
    // The token alone goes to stdout, so that a script can take it.
    const [first = '', ...rest] = runTokenCommand(command.command)
    process.stdout.write(
      command.command.action === 'add' ? `${first}\n` : [first, ...rest].map((line) => `${line}\n`).join(''),
    )
    if (command.command.action === 'add') process.stderr.write(rest.map((line) => `${line}\n`).join(''))
    return
  }
  if ('settings' in command) {
    // Commands of a person need more than a server that is started for a client.
    const [{ runCommand }, { processTerminal }] = await Promise.all([
      import('./commands/run-command.ts'),
      import('./commands/terminal.ts'),
    ])
    process.exitCode = await runCommand(command, processTerminal())
    return
  }
  const { name, config } = command
  const logger = createLogger(config.logLevel)
  const running =
    name === 'sell'
      ? await startSelling(config, logger)
      : name === 'http'
        ? await startHttp(config, logger)
        : { ...startMcpStdio(config, logger), url: 'stdio' }
  let isClosing = false
  const end = () => {
    if (isClosing) return
    isClosing = true
    setTimeout(() => process.exit(1), closeMilliseconds).unref()
    running.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error(failureFacts(error), 'not closed cleanly')
        process.exit(1)
      },
    )
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
  if (name === 'stdio') process.stdin.once('end', end).once('close', end)
  logger.info(
    {
      url: running.url,
      chainId: config.network.chainId,
      mode: maySpend(config) ? 'spending' : 'read-only',
      ...(config.http ? { login: config.http.auth.kind } : {}),
    },
    'listening',
  )
}

main().catch((error: unknown) => {
  if (LilypadError.is(error) && process.stderr.isTTY) {
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
    return
  }
  createLogger().fatal(
    { ...failureFacts(error), ...(LilypadError.is(error) ? { details: error.details, hint: error.hint } : {}) },
    'not started',
  )
  process.exitCode = 1
})
