import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { type Address, createSigner, LilypadError, matchesOutput } from '@lilypad-agents/protocol'
import {
  auditVault,
  formatTokenAmount,
  getAccount,
  getCredit,
  getTokenBalance,
  type Lilypad,
  type VaultAudit,
  type Verification,
} from '@lilypad-agents/sdk'
import { readKeyFile } from '@lilypad-agents/sdk/node'
import { type LocalNetwork, startLocalNetwork } from '../local/local-network.ts'
import { openClient } from '../local/open-client.ts'
import { plainText, type Printer } from '../output/printer.ts'
import { type FinishedRun, readGivenFile, runModule } from './run-module.ts'
import { verifyFiles } from './verify-files.ts'

export type UpOptions = {
  readonly stateDirectory: string
  readonly modulesDirectory: string
  readonly module: string
  readonly once: boolean
  readonly outputDirectory: string
  readonly timeoutSeconds: number
  readonly ports: { readonly chain: number; readonly solver: number; readonly mcp: number }
  readonly printer: Printer
  readonly signal: AbortSignal
}

/** Where every LILY of the job's parties is, in base units. */
type Balances = {
  readonly vaultTokens: bigint
  readonly payer: bigint
  readonly providerCredit: bigint
}

/** Starts the local network, runs the first job of a module on its shipped example, and stays up unless `once`. Returns the exit code. */
export async function up(options: UpOptions): Promise<number> {
  const { printer, once, signal, stateDirectory, modulesDirectory, ports } = options
  const found = await listModuleFolders(modulesDirectory)
  // Nobody who asked for a sentence to be spoken wants to fetch a language model for it.
  const isWanted = (folder: string) => basename(folder) === options.module || !existsSync(join(folder, 'weights.json'))
  const folders = found.filter(isWanted)
  const unfetched = found.filter((folder) => !isWanted(folder)).map((folder) => basename(folder))
  const startedAt = Date.now()
  printer.note('lilypad: starting a local network')
  const local = await startLocalNetwork({
    stateDirectory,
    modules: folders,
    ports,
    onStep: (step) => printer.progress(`starting ${step}`),
  })
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= local.close()
    return closed
  }
  const aborted = new Promise<void>((resolve) =>
    signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
  )
  try {
    printer.step(
      'network',
      `chain ${local.network.rpcUrl}, solver ${local.network.solverUrl}, MCP ${local.mcpUrl} (${Date.now() - startedAt} ms)`,
    )
    for (const { name, version, transaction } of local.published)
      printer.step('module', `${name} ${version} ${transaction ? 'published' : 'already published'}`)
    for (const { folder, reason } of local.skipped)
      printer.note(`  - module      ${basename(folder)} left out, its build failed: ${plainText(reason, 400)}`)
    if (unfetched.length > 0)
      printer.note(
        `  - modules     ${unfetched.join(', ')} left out, their weights are a download: --module ${unfetched[0]} fetches them and runs it first`,
      )
    const result = await Promise.race([firstJob(options, local), aborted.then(() => undefined)])
    if (!result) return 130
    printer.result(result.json, result.lines)
    if (!once) {
      const elsewhere = local.state.path === resolve('.lilypad') ? '' : ` --state-dir ${local.state.path}`
      printer.note(
        `\nThe network stays up. Press Ctrl-C to stop.\n  Add it to Claude:   claude mcp add --transport http lilypad ${local.mcpUrl}\n  Run another job:    npx lilypad run tts --input text="Any sentence."${elsewhere}\n  State and logs:     ${local.state.path}\n`,
      )
      await aborted
      printer.note('\nlilypad: stopping (a few seconds)')
    }
    return result.ok ? 0 : 3
  } finally {
    await close()
  }
}

async function listModuleFolders(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory() && existsSync(join(directory, entry.name, 'module.json')))
    .map((entry) => resolve(directory, entry.name))
}

async function firstJob(
  options: UpOptions,
  local: LocalNetwork,
): Promise<{ readonly json: unknown; readonly lines: readonly string[]; readonly ok: boolean }> {
  const { printer, module, modulesDirectory, outputDirectory, timeoutSeconds, signal } = options
  const lilypad = openClient(local.state)
  try {
    await lilypad.resume()
    const folder = resolve(modulesDirectory, module)
    const skipped = local.skipped.find((left) => left.folder === folder)
    if (skipped)
      throw new LilypadError('EXECUTOR_UNAVAILABLE', `The module ${module} cannot run on this machine.`, {
        details: [skipped.reason],
        hint: `what it needs stands in ${join(folder, 'README.md')}; the default module, tts, needs nothing but Node`,
      })
    await waitForOffer(lilypad, module, signal)
    const { manifest } = await lilypad.getModule(module)
    const [example] = manifest.examples
    if (!example) throw new LilypadError('INVALID_REQUEST', `The module ${module} ships no example to run.`)
    const files = Object.entries(example.files).map(([input, path]) => `${input}=${join(folder, path)}`)
    for (const file of files) await readGivenFile(file.slice(file.indexOf('=') + 1))
    const provider = createSigner(readKeyFile(local.state.keyFile('provider'))).address
    const before = await readBalances(lilypad, provider)
    const run = await runModule({
      lilypad,
      printer,
      module,
      inputs: [],
      files,
      givenInputs: example.inputs,
      outputDirectory,
      timeoutSeconds,
      signal,
    })
    const settled = await lilypad.waitForSettlement(run.job.orderHash, { timeoutSeconds: 60 })
    const after = await readBalances(lilypad, provider)
    const price = run.job.price ?? 0n
    if (settled.settlement)
      printer.step('paid', `${formatTokenAmount(price)} LILY in transaction ${settled.settlement.transaction}`)
    const receipt = await verifyFiles({ file: run.bundleFile, networkFile: local.state.networkFile })
    const books = await auditVault(lilypad.client, { token: lilypad.network.contracts.lilyToken })
    const checks = [
      ...receipt.checks,
      ...(await checkGolden(run, folder, example.golden)),
      ...checkBalances(before, after, price, books),
    ]
    const ok = checks.every((check) => check.ok)
    printer.step(
      'checked',
      `${checks.filter((check) => check.ok).length} of ${checks.length} checks hold, offline and on chain`,
    )
    const json = {
      ok,
      module: { name: manifest.name, version: manifest.version, id: run.job.order.moduleVersion },
      job: run.job.orderHash,
      price: { amount: price, token: 'LILY', decimals: 18, text: `${formatTokenAmount(price)} LILY` },
      outputs: run.outputs.map(({ path, bytes, sha256 }) => ({
        path,
        bytes,
        sha256,
        file: join(run.directory, 'outputs', path),
      })),
      result: await readResult(run),
      receipt: run.bundleFile,
      checks,
      settlement: settled.settlement
        ? { transaction: settled.settlement.transaction, blockNumber: settled.settlement.blockNumber }
        : null,
      balances: { before, after },
      network: {
        chainId: local.network.chainId,
        rpcUrl: local.network.rpcUrl,
        solverUrl: local.network.solverUrl,
        mcpUrl: local.mcpUrl,
        contracts: local.network.contracts,
      },
    }
    const failed = checks.filter((check) => !check.ok)
    const lines = [
      ok
        ? `\n${manifest.title}: done, verified and paid.`
        : `\n${manifest.title}: ${failed.length} checks do not hold.`,
      ...failed.map((check) => `  ✘ ${check.name}: ${check.evidence}`),
      ...run.outputs.map((output) => `  Output:  ${join(run.directory, 'outputs', output.path)}`),
      `  Receipt: ${run.bundleFile}`,
      `  Check it yourself, offline:  npx lilypad verify ${run.bundleFile}`,
    ]
    return { json, lines, ok }
  } finally {
    await lilypad.close()
  }
}

async function waitForOffer(lilypad: Lilypad, module: string, signal: AbortSignal): Promise<void> {
  const until = Date.now() + 60_000
  for (;;) {
    const { offers } = await lilypad.getModule(module)
    if (offers.length > 0 || signal.aborted) return
    if (Date.now() > until)
      throw new LilypadError('NO_PROVIDER_AVAILABLE', `No provider offers ${module}.`, {
        hint: 'the log of the provider says which modules it can run',
      })
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function readBalances(lilypad: Lilypad, provider: Address): Promise<Balances> {
  const { client, network, payer } = lilypad
  const token = network.contracts.lilyToken
  if (!payer) throw new LilypadError('READ_ONLY', 'There is no payer.')
  return {
    vaultTokens: await getTokenBalance(client, { token, account: network.contracts.jobVault }),
    payer: (await getAccount(client, { payer, token })).balance,
    providerCredit: await getCredit(client, { account: provider, token }),
  }
}

/** Other jobs of this folder may settle in the same block, so the payer may have paid more, and never less. */
function checkBalances(before: Balances, after: Balances, price: bigint, books: VaultAudit): Verification['checks'] {
  const paid = before.payer - after.payer
  const earned = after.providerCredit - before.providerCredit
  return [
    {
      name: 'balances.payer',
      ok: paid >= price,
      evidence: `the payer's balance fell by ${paid}, the price is ${price}`,
    },
    {
      name: 'balances.earned',
      ok: earned > 0n && earned <= paid,
      evidence: `the provider was credited ${earned} of it; the rest is the shares of author, solver and protocol`,
    },
    {
      name: 'balances.vault',
      ok: after.vaultTokens === before.vaultTokens,
      evidence: `the vault still holds ${after.vaultTokens}: money moved between accounts, none left`,
    },
    {
      name: 'balances.books',
      ok: books.difference === 0n,
      evidence: `${books.balances} of payers, ${books.credits} credited, ${books.uncollectedFees + books.uncollectedModuleFees} of fees and ${books.held} set aside make the ${books.tokens} tokens held`,
    },
  ]
}

/** Compares the outputs with the module's golden ones, as far as they are shipped as files. */
async function checkGolden(
  run: FinishedRun,
  folder: string,
  golden: string | undefined,
): Promise<Verification['checks']> {
  if (!golden) return []
  const { module } = run.job
  return Promise.all(
    run.outputs.map(async (output) => {
      const name = `golden ${output.path}`
      const digest = await readFile(join(folder, golden, `${output.path}.sha256`), 'utf8').catch(() => undefined)
      if (digest) {
        const expected = `0x${digest.trim().split(/\s+/)[0]?.replace(/^0x/, '')}`
        return {
          name,
          ok: expected === output.sha256,
          evidence: `sha256 ${output.sha256}${expected === output.sha256 ? ' as shipped' : `, shipped ${expected}`}`,
        }
      }
      const expected = await readFile(join(folder, golden, output.path)).catch(() => undefined)
      if (expected === undefined) return { name, ok: false, evidence: 'no golden output is shipped' }
      const ok = matchesOutput(module.comparator, expected, await output.read())
      return {
        name,
        ok,
        evidence: ok ? `equal to the shipped output (${module.comparator.name})` : 'differs from the shipped output',
      }
    }),
  )
}

async function readResult(run: FinishedRun): Promise<unknown> {
  const { result } = run.job.module.outputs
  const output = run.outputs.find((file) => file.path === result?.path)
  if (output) return JSON.parse(new TextDecoder().decode(await output.read()))
  return run.outputs.map((file) => ({
    path: file.path,
    mediaType:
      run.job.module.outputs.files.find((declared) => declared.path === file.path)?.mediaType ??
      'application/octet-stream',
    bytes: file.bytes,
  }))
}
