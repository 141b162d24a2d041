#!/usr/bin/env node
import { existsSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pathCid } from '@lilypad-agents/blobs'
import {
  Address,
  type InputPropertySchema,
  type JobState,
  isFinal,
  LilypadError,
  maxLinkSeconds,
  ModuleListing,
  Quote,
  toLilypadError,
} from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { readConfig } from '@lilypad-agents/provider'
import {
  createChainClient,
  formatTokenAmount,
  type Lilypad,
  parseTokenAmount,
  StoredJob,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile } from '@lilypad-agents/sdk/node'
import { Command, InvalidArgumentError, Option } from 'commander'
import { z } from 'zod'
import { deploy } from './commands/deploy.ts'
import { findJobId } from './commands/find-job-id.ts'
import { examineProvider } from './commands/provider-doctor.ts'
import { showEarnings, showProvider, withdrawEarnings } from './commands/provider-money.ts'
import { providerArguments, type ProviderFlags } from './commands/provider-settings.ts'
import { addProviderStake, moveUnstake, type UnstakeMove } from './commands/provider-stake.ts'
import { publishOutputs } from './commands/publish-outputs.ts'
import { resumeJobs } from './commands/resume-jobs.ts'
import { quoteModule, runModule, writeJobFiles } from './commands/run-module.ts'
import { up } from './commands/up.ts'
import { unaskedChain, verifyFiles } from './commands/verify-files.ts'
import { changeGuardian, type GuardianMove, moveWallet, showWallet } from './commands/wallet.ts'
import { openClient } from './local/open-client.ts'
import { openStateDirectory } from './local/state-directory.ts'
import { buildModule, publishModule } from './module/publish-module.ts'
import { testModule } from './module/test-module.ts'
import { exitCodes, toExitCode } from './output/exit-code.ts'
import { createPrinter, plainText } from './output/printer.ts'

const defaultStateFolder = '.lilypad'

type Shared = { readonly stateDir: string; readonly network?: string; readonly json?: boolean }

/** Reads a whole number of an option. */
const wholeNumber =
  (least: number, most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`)
  }
const seconds = wholeNumber(1, 86_400)

const ports = (text: string): readonly number[] => {
  const numbers = text.split(',').map(wholeNumber(0, 65_535))
  if (numbers.length === 3) return numbers
  throw new InvalidArgumentError('Expected three ports, separated by commas.')
}

const addressOption = (text: string): Address => {
  const { data } = Address.safeParse(text)
  if (data) return data
  throw new InvalidArgumentError('Expected an address of 20 bytes.')
}

const collect = (value: string, previous: readonly string[] = []) => [...previous, value]

/** Adds the options that every command has. */
function shared(command: Command): Command {
  return command
    .addOption(
      new Option('--state-dir <folder>', 'where keys, jobs and logs are kept')
        .env('LILYPAD_STATE_DIR')
        .default(defaultStateFolder),
    )
    .addOption(
      new Option('--network <file>', 'network file; default: the one in the state folder').env('LILYPAD_NETWORK_FILE'),
    )
    .option('--json', 'print the result as one line of JSON')
}

/** Makes a subcommand the one that runs when none is named; a name that is none of the group is said to be so. */
function asDefault(command: Command): Command {
  return command.allowExcessArguments().hook('preAction', () => {
    const [name] = command.args
    if (name !== undefined) command.parent?.error(`error: unknown command '${plainText(name, 60)}'`)
  })
}

/** The default state folder is looked for here and above, so that commands work anywhere inside a clone. */
function findStateFolder(wanted: string): string {
  if (wanted !== defaultStateFolder) return wanted
  for (let folder = process.cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, wanted))) return join(folder, wanted)
    if (dirname(folder) === folder) return wanted
  }
}

const open = (options: Shared) => {
  const state = openStateDirectory(findStateFolder(options.stateDir))
  return {
    state,
    networkFile: options.network ?? state.networkFile,
    printer: createPrinter({ isJson: options.json === true }),
  }
}

async function withClient(
  options: Shared,
  work: (lilypad: Lilypad, opened: ReturnType<typeof open>) => Promise<void>,
): Promise<void> {
  const opened = open(options)
  const lilypad = openClient(opened.state, opened.networkFile)
  try {
    await work(lilypad, opened)
  } finally {
    await lilypad.close()
  }
}

const price = (listing: ModuleListing) => {
  const [cheapest] = listing.offers.toSorted((a, b) => (a.pricePerJob < b.pricePerJob ? -1 : 1))
  return cheapest ? `from ${formatTokenAmount(cheapest.pricePerJob)} LILY` : 'no provider now'
}

const describeInput = (schema: InputPropertySchema): string => {
  if (schema.type === 'object') return `file, ${schema.mediaTypes.join(', ')}`
  if (schema.type === 'string' && schema.enum)
    return `one of ${schema.enum.map((value) => plainText(value, 40)).join(', ')}`
  return schema.type
}

const jobLine = ({
  orderHash,
  module,
  state,
  price: paid,
  orderedAt,
}: {
  orderHash: string
  module: { name: string }
  state: JobState
  price: bigint | null
  orderedAt: number
}) =>
  `  ${orderHash}  ${module.name.padEnd(12)} ${state.padEnd(12)} ${paid === null ? '' : `${formatTokenAmount(paid)} LILY`}  ${new Date(orderedAt * 1000).toISOString()}`

const program = new Command('lilypad')
  .description('Find, pay for and verify compute that nobody has to trust.')
  .version('0.1.0')
  .showHelpAfterError('(--help shows how it is used)')
  .exitOverride((error) => {
    if (error.exitCode !== 0 && process.argv.includes('--json')) {
      const usage = new LilypadError('INVALID_REQUEST', error.message.replace(/^error: /, ''), { hint: 'see --help' })
      process.stdout.write(`${JSON.stringify(usage.toBody())}\n`)
    }
    process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.usage)
  })

shared(program.command('up').description('start a local network, run one job on it, and stay up'))
  .option('--modules <folder>', 'folder of module folders to publish', join('examples', 'modules'))
  .option('--module <name>', 'module to run first', 'tts')
  .option('--once', 'end after the first job')
  .option('--output <folder>', 'where outputs and receipts go', 'lilypad-jobs')
  .option('--timeout <seconds>', 'longest wait for the job', seconds, 300)
  .option('--ports <chain,solver,mcp>', 'ports wanted; 0 for any free one', ports, [8545, 8600, 8601])
  .action(
    async (
      options: Shared & {
        modules: string
        module: string
        once?: boolean
        output: string
        timeout: number
        ports: readonly number[]
      },
    ) => {
      const { printer, state } = open(options)
      const stopping = new AbortController()
      // Not `once`: a terminal and a parent may both send the signal, and the second must not cut the shutdown short.
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopping.abort())
      const [chain = 0, solver = 0, mcp = 0] = options.ports
      process.exitCode = await up({
        stateDirectory: state.path,
        modulesDirectory: options.modules,
        module: options.module,
        once: options.once === true,
        outputDirectory: options.output,
        timeoutSeconds: options.timeout,
        ports: { chain, solver, mcp },
        printer,
        signal: stopping.signal,
      })
    },
  )

const modules = program.command('modules').description('find, show and publish modules')
shared(modules.command('search').description('list published modules').argument('[query]', 'words to look for'))
  .option('--limit <n>', 'most modules to list', wholeNumber(1, 100), 20)
  .action((query: string | undefined, options: Shared & { limit: number }) =>
    withClient(options, async (lilypad, { printer }) => {
      const { modules: found } = await lilypad.searchModules({
        limit: options.limit,
        ...(query ? { query } : {}),
      })
      printer.result(
        z.encode(z.array(ModuleListing), found),
        found.length === 0
          ? ['  nothing found']
          : found.map(
              (listing) =>
                `  ${listing.name.padEnd(20)} ${listing.manifest.version.padEnd(8)} ${price(listing).padEnd(24)} ${plainText(listing.manifest.summary, 90)}`,
            ),
      )
    }),
  )
shared(
  modules
    .command('show')
    .description('show one module: inputs, outputs, limits, price')
    .argument('<module>', 'name, or id of a version'),
).action((name: string, options: Shared) =>
  withClient(options, async (lilypad, { printer }) => {
    const listing = await lilypad.getModule(name)
    const { manifest } = listing
    const inputs = Object.entries(manifest.inputs.properties).map(
      ([input, schema]) =>
        `    ${input}${manifest.inputs.required.includes(input) ? '' : ' (optional)'}: ${describeInput(schema)}  ${plainText(schema.description ?? schema.title ?? '', 100)}`,
    )
    const example = manifest.examples[0]
    const asOption = Object.entries(example?.inputs ?? {}).map(
      ([input, value]) => `--input ${input}=${JSON.stringify(value)}`,
    )
    const asFile = Object.entries(example?.files ?? {}).map(
      ([input, path]) => `--file ${input}=<your ${path.split('.').at(-1)} file>`,
    )
    printer.result(z.encode(ModuleListing, listing), [
      `  ${manifest.name} ${manifest.version}: ${plainText(manifest.title)} (${price(listing)})`,
      `  ${plainText(manifest.summary, 280)}`,
      `  Version id: ${listing.moduleVersion}   Author: ${listing.author}`,
      '  Inputs:',
      ...inputs,
      `  Outputs: ${manifest.outputs.files.map((file) => `${file.path} (${file.mediaType})`).join(', ')}`,
      `  Limits: ${manifest.limits.timeoutSeconds} s, ${Math.round(manifest.limits.memoryBytes / 1024 ** 2)} MiB   Determinism: ${manifest.determinism}   Licence: ${plainText(manifest.licence.code)}; weights ${plainText(manifest.licence.weights, 80)}`,
      ...(manifest.network ? [`  Talks to: ${manifest.network.hosts.join(', ')}`] : []),
      ...(example
        ? [
            `  Try: lilypad run ${manifest.name} ${[...asOption, ...asFile].map((part) => plainText(part, 160)).join(' ')}`,
          ]
        : []),
    ])
  }),
)
shared(
  modules
    .command('publish')
    .description('build a module folder and publish it')
    .argument('<folder>', 'folder with a module.json'),
)
  .option('--key <file>', 'key of the author; default: the author of the state folder')
  .action(async (folder: string, options: Shared & { key?: string }) => {
    const { state, networkFile, printer } = open(options)
    const network = readNetworkFile(networkFile)
    const client = createChainClient({
      chain: toLilypadChain(network),
      privateKey: readKeyFile(options.key ?? state.keyFile('author')),
    })
    printer.progress('building')
    const built = await buildModule(folder, { onProgress: (line) => printer.progress(plainText(line)) })
    const published = await publishModule({ built, client, network })
    printer.result(published, [
      `  ${published.name} ${published.version} ${published.transaction ? `published in ${published.transaction}` : 'was already published'}`,
      `  Version id: ${published.moduleVersion}`,
    ])
  })

shared(
  modules
    .command('test')
    .description(
      'run the examples of a module folder on this machine and compare the runs with each other and with golden outputs',
    )
    .argument('<folder>', 'folder with a module.json'),
)
  .option('--runs <n>', 'how often each example is run', wholeNumber(1, 100), 2)
  .action(async (folder: string, options: Shared & { runs: number }) => {
    const { printer } = open(options)
    const stopping = new AbortController()
    process.once('SIGINT', () => stopping.abort())
    printer.progress('building')
    const built = await buildModule(folder, { onProgress: (line) => printer.progress(plainText(line)) })
    const report = await testModule({
      built,
      runs: options.runs,
      signal: stopping.signal,
      onProgress: (text) => printer.progress(text),
    })
    printer.result(report, [
      `  ${report.module} ${report.version}   determinism: ${report.determinism}   comparator: ${report.comparator}`,
      ...report.examples.flatMap(({ title, runs, milliseconds, outputs, problems }) => [
        `  ${problems.length === 0 ? '✔' : '✘'} ${plainText(title, 80)}   ${runs} ${runs === 1 ? 'run' : 'runs'}, ${milliseconds.join(', ')} ms`,
        ...outputs.map(({ path, bytes, sha256 }) => `      ${plainText(path)}  ${bytes} bytes  ${sha256}`),
        ...problems.map((problem) => `      ${plainText(problem, 600)}`),
      ]),
    ])
    if (!report.ok) process.exitCode = exitCodes.notVerified
  })

type Inputs = {
  readonly input?: string[]
  readonly file?: string[]
  readonly inputs?: string
  readonly seal?: boolean
}

/** Adds the argument and options that name a module and its inputs. */
const withInputs = (command: Command): Command =>
  shared(command.argument('<module>', 'name, or id of a version'))
    .option('--input <name=value>', 'an input; repeat for more', collect)
    .option('--file <name=path>', 'a file input; repeat for more', collect)
    .option('--inputs <json>', 'all inputs as one JSON object')
    .option('--seal', 'outputs are sealed to the key that orders: the relay sees their paths and sizes only')

const toGiven = ({ input = [], file = [], inputs, seal = false }: Inputs) => ({
  seal,
  inputs: input,
  files: file,
  ...(inputs ? { givenInputs: parseJsonObject(inputs) } : {}),
})

withInputs(program.command('run').description('run a module: quote, order, wait, verify, pay'))
  .option('--max-price <lily>', 'most the job may cost')
  .option('--output <folder>', 'where outputs and the receipt go', 'lilypad-jobs')
  .option('--timeout <seconds>', 'longest wait', seconds, 600)
  .option('--follow', 'show on stderr what the module writes while it runs')
  .action(
    (
      module: string,
      options: Shared &
        Inputs & {
          maxPrice?: string
          output: string
          timeout: number
          follow?: boolean
        },
    ) =>
      withClient(options, async (lilypad, { printer }) => {
        const stopping = new AbortController()
        process.on('SIGINT', () => {
          stopping.abort()
          setTimeout(() => process.exit(130), 1000).unref()
        })
        const run = await runModule({
          lilypad,
          printer,
          module,
          ...toGiven(options),
          ...(options.maxPrice ? { maxPrice: parseTokenAmount(options.maxPrice) } : {}),
          outputDirectory: options.output,
          timeoutSeconds: options.timeout,
          isFollowed: options.follow === true,
          signal: stopping.signal,
        })
        const { job, verification, outputs, directory, bundleFile } = run
        printer.result(
          {
            job: job.orderHash,
            module: { name: job.module.name, version: job.module.version, id: job.order.moduleVersion },
            state: job.state,
            price: job.price,
            outputs: outputs.map(({ path, bytes, sha256 }) => ({
              path,
              bytes,
              sha256,
              file: join(directory, 'outputs', path),
            })),
            receipt: bundleFile,
            checks: verification.checks,
          },
          [
            `  ${formatTokenAmount(job.price ?? 0n)} LILY   job ${job.orderHash}`,
            ...outputs.map((output) => `  ${join(directory, 'outputs', output.path)}`),
            `  ${bundleFile}`,
          ],
        )
      }),
  )

withInputs(program.command('quote').description('ask what a run would cost; nothing is ordered')).action(
  (module: string, options: Shared & Inputs) =>
    withClient(options, async (lilypad, { printer }) => {
      const { quote } = await quoteModule({
        lilypad,
        printer,
        module,
        ...toGiven(options),
      })
      const lily = (amount: bigint) => `${formatTokenAmount(amount)} LILY`
      printer.result(z.encode(Quote, quote), [
        `  at most ${lily(quote.maxPrice)}, expected ${lily(quote.expectedPrice)}, in about ${Math.ceil(quote.expectedSeconds)} s`,
      ])
    }),
)

function parseJsonObject(text: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch (error) {
    throw new LilypadError('INVALID_REQUEST', 'The inputs are not a JSON object.', {
      hint: `write them as --inputs '{"name": "value"}'`,
      cause: error,
    })
  }
}

const jobs = program.command('jobs').description('jobs ordered from here')
asDefault(shared(jobs.command('list', { isDefault: true }).description('list jobs, newest first'))).action(
  (options: Shared) =>
    withClient(options, async (lilypad, { printer }) => {
      // States kept here may be old; what still moves is asked for, and the list does not wait for a solver that is away.
      const moving = (await lilypad.listJobs()).filter((job) => !isFinal(job.state)).slice(0, 20)
      await Promise.allSettled(moving.map((job) => lilypad.getJob(job.orderHash)))
      const all = await lilypad.listJobs()
      printer.result(z.encode(z.array(StoredJob), [...all]), all.length === 0 ? ['  no jobs yet'] : all.map(jobLine))
    }),
)
shared(jobs.command('show').description('show one job, with its newest state').argument('<job>', 'id of the job'))
  .option('--output <folder>', 'write its outputs and receipt there')
  .action((id: string, options: Shared & { output?: string }) =>
    withClient(options, async (lilypad, { printer }) => {
      const job = await lilypad.getJob(await findJobId(lilypad, id))
      const written = options.output
        ? [`  ${await writeJobFiles(lilypad, job.orderHash, resolve(options.output))}`]
        : []
      printer.result(z.encode(StoredJob, job), [
        jobLine(job),
        ...(job.reason ? [`  ${job.reason.code}: ${plainText(job.reason.message)}`] : []),
        ...(job.settlement ? [`  settled in ${job.settlement.transaction}`] : []),
        ...written,
      ])
    }),
  )
shared(jobs.command('link').description('a URL with which anybody can read one output for a while'))
  .argument('<job>', 'id of the job')
  .argument('<path>', 'path of the output')
  .option('--seconds <seconds>', 'how long it is good for', wholeNumber(1, maxLinkSeconds), 3600)
  .action((id: string, path: string, options: Shared & { seconds: number }) =>
    withClient(options, async (lilypad, { printer }) => {
      const link = await lilypad.linkOutput(await findJobId(lilypad, id), { path, seconds: options.seconds })
      printer.result(link, [
        `  ${link.url}`,
        `  good until ${new Date(link.validUntil * 1000).toISOString()}`,
        ...(link.isSealed ? ['  sealed: only the key of this client opens what it gives'] : []),
      ])
    }),
  )
shared(jobs.command('cancel').description('stop a job that is not delivered yet; it costs nothing then'))
  .argument('<job>', 'id of the job')
  .action((id: string, options: Shared) =>
    withClient(options, async (lilypad, { printer }) => {
      const job = await lilypad.cancel(await findJobId(lilypad, id))
      printer.result(z.encode(StoredJob, job), [
        jobLine(job),
        ...(isFinal(job.state) ? [] : ['  the provider is asked to stop; `lilypad jobs show` says when it has']),
      ])
    }),
  )
shared(jobs.command('publish').description('put the outputs of a job into a bucket or an IPFS node'))
  .argument('<job>', 'id of the job')
  .requiredOption('--to <url>', 's3://bucket/prefix?region=…&endpoint=https://…, or kubo+http://host:5001')
  .option('--link-seconds <seconds>', 'how long links to the files are good for', wholeNumber(1, 604_800), 3600)
  .action((id: string, options: Shared & { to: string; linkSeconds: number }) =>
    withClient(options, async (lilypad, { printer }) => {
      const { to, linkSeconds } = options
      const orderHash = await findJobId(lilypad, id)
      const published = await publishOutputs(lilypad, orderHash, { to, linkSeconds, environment: process.env })
      printer.result(published, [
        `  ${published.folder}`,
        ...published.files.map(
          ({ path, link }) => `  ${plainText(path, 200)}${link === undefined ? '' : `   ${link}`}`,
        ),
      ])
    }),
  )
shared(jobs.command('resume').description('finish what a crash, a timeout or Ctrl-C left open'))
  .option('--output <folder>', 'where outputs and receipts go', 'lilypad-jobs')
  .action((options: Shared & { output: string }) =>
    withClient(options, (lilypad, { printer }) => resumeJobs(lilypad, options.output, printer)),
  )

shared(
  program
    .command('verify')
    .description('check a receipt file offline, or a job by its id')
    .argument('<receipt or job>', 'a receipt.json, its folder, or the id of a job'),
)
  .option('--outputs <folder>', 'where the output files are; default: beside the receipt')
  .option('--chain', 'also check that the job is settled on chain')
  .action(async (what: string, options: Shared & { outputs?: string; chain?: boolean }) => {
    const { state, networkFile, printer } = open(options)
    const file = existsSync(what) && statSync(what).isDirectory() ? join(what, 'receipt.json') : what
    const verification = existsSync(file)
      ? await verifyFiles({
          file,
          ...(options.outputs ? { outputDirectory: options.outputs } : {}),
          ...(options.chain ? { networkFile } : {}),
        })
      : await verifyJob(what, options.chain === true)
    const failed = verification.checks.filter((check) => !check.ok)
    const isUnasked = failed.length > 0 && failed.every((check) => check.name === unaskedChain)
    const verdict = verification.ok ? 'verified' : isUnasked ? 'unchecked' : 'not verified'
    const words = {
      verified: 'verified',
      unchecked: 'holds offline; the chain could not be asked',
      'not verified': 'NOT verified',
    }
    printer.result({ verdict, ...verification }, [
      ...verification.checks.map(
        ({ name, ok, evidence }) => `  ${ok ? '✔' : '✘'} ${name.padEnd(26)} ${plainText(evidence, 160)}`,
      ),
      `  ${words[verdict]}`,
    ])
    if (verdict !== 'verified') process.exitCode = isUnasked ? exitCodes.unavailable : exitCodes.notVerified

    async function verifyJob(id: string, chain: boolean) {
      const lilypad = openClient(state, networkFile)
      try {
        return await lilypad.verify(await findJobId(lilypad, id), { chain })
      } finally {
        await lilypad.close()
      }
    }
  })

shared(
  program.command('cid').description('the IPFS name of a file or folder, as `ipfs add` gives it; nothing is published'),
)
  .argument('<path>', 'a file, or a folder such as the outputs of a job')
  .option('--v0', 'the older kind of name, Qm…, as plain `ipfs add` and the original Lilypad give it')
  .action(async (path: string, options: Shared & { v0?: boolean }) => {
    const cid = await pathCid(path, options.v0 ? 'v0' : 'v1')
    open(options).printer.result({ cid }, [`  ${cid}`])
  })

const wallet = program.command('wallet').description('balances, limits, deposits and withdrawals')
shared(
  asDefault(wallet.command('show', { isDefault: true }).alias('balance').description('balances, guardian and limits')),
).action((options: Shared) => withClient(options, (lilypad, { printer }) => showWallet(lilypad, printer)))
shared(
  wallet
    .command('deposit')
    .description('put LILY of the payer into the vault; names the solver as guardian of an account that has none')
    .argument('<lily>', 'amount, such as 2.5'),
)
  .option('--no-guardian', 'leave an account without a guardian as it is')
  .action((amount: string, options: Shared & { guardian: boolean }) => {
    const { state, networkFile, printer } = open(options)
    return moveWallet(state, networkFile, { kind: 'deposit', amount, withoutGuardian: !options.guardian }, printer)
  })
shared(
  wallet
    .command('withdraw')
    .description('ask for LILY back; it leaves after the delay')
    .argument('<lily>', 'amount, such as 2.5'),
).action((amount: string, options: Shared) => {
  const { state, networkFile, printer } = open(options)
  return moveWallet(state, networkFile, { kind: 'withdraw', amount }, printer)
})
shared(wallet.command('guardian').description('show or change the solver that has to consent to what leaves'))
  .addOption(
    new Option('--set [solver]', "name a solver; without an address, the network's")
      .argParser(addressOption)
      .conflicts(['clear', 'finalize']),
  )
  .addOption(new Option('--clear', 'have no guardian, after the withdraw delay').conflicts('finalize'))
  .option('--finalize', 'put a change into force whose delay is over')
  .action((options: Shared & { set?: Address | true; clear?: boolean; finalize?: boolean }) => {
    const { state, networkFile, printer } = open(options)
    const move = (): GuardianMove => {
      if (options.set !== undefined) return { kind: 'set', guardian: options.set === true ? undefined : options.set }
      if (options.clear === true) return { kind: 'clear' }
      return { kind: options.finalize === true ? 'finalize' : 'show' }
    }
    return changeGuardian(state, networkFile, move(), printer)
  })
for (const [kind, description] of [
  ['finalize-withdraw', 'pay out a withdrawal whose delay is over'],
  ['cancel-withdraw', 'take back a requested withdrawal'],
  ['revoke-session', 'end the authority of the session key'],
] as const) {
  shared(wallet.command(kind).description(description)).action((options: Shared) => {
    const { state, networkFile, printer } = open(options)
    return moveWallet(state, networkFile, { kind }, printer)
  })
}

type ProviderArguments = Shared & ProviderFlags

/** Adds what says which provider is meant. */
const ofProvider = (command: Command) =>
  shared(command)
    .addOption(
      new Option('--config <file>', 'configuration file; default: provider.toml in the state folder').env(
        'LILYPAD_CONFIG',
      ),
    )
    .option('--key <file>', 'key of the provider; default: the provider of the state folder')
const argumentsOf = (options: ProviderArguments) =>
  providerArguments(open(options).state, { ...options, isStateNamed: options.stateDir !== defaultStateFolder })
const readProvider = (options: ProviderArguments) =>
  readConfig({ args: argumentsOf(options), environment: process.env })
/** As `argumentsOf`, with a key that is made the first time where nobody names one. */
const argumentsWithKey = (options: ProviderArguments) => {
  const { state } = open(options)
  const args = argumentsOf(options)
  if (options.key === undefined && args.includes(state.keyFile('provider'))) state.key('provider')
  return args
}

const provider = program.command('provider').description('serve jobs and earn')
ofProvider(provider.command('start').description('connect to the solver of the network and take jobs'))
  .option('--status-port <port>', 'serve a status page and metrics on this port of loopback', wholeNumber(0, 65_535))
  .action(async (options: ProviderArguments & { statusPort?: number }) => {
    const args = argumentsWithKey(options)
    process.argv = [
      process.argv[0] ?? 'node',
      fileURLToPath(import.meta.resolve('@lilypad-agents/provider/main')),
      ...args,
      ...(options.statusPort === undefined ? [] : ['--status-port', String(options.statusPort)]),
    ]
    await import('@lilypad-agents/provider/main')
  })
ofProvider(provider.command('status').description('jobs, money and what to mend, also while it runs')).action(
  (options: ProviderArguments) => showProvider(readProvider(options), open(options).printer),
)
ofProvider(provider.command('earnings').description('what was earned, by module, by day and by settlement'))
  .addOption(new Option('--days <days>', 'days to list').default(14).argParser(wholeNumber(1, 3650)))
  .action((options: ProviderArguments & { days: number }) =>
    showEarnings(readProvider(options), options.days, open(options).printer),
  )
ofProvider(provider.command('withdraw').description('pay the earned credit out to the provider')).action(
  (options: ProviderArguments) => withdrawEarnings(readProvider(options), open(options).printer),
)
ofProvider(provider.command('stake').description("add to the stake, out of the provider's own LILY and its credit"))
  .argument('<lily>', 'how much')
  .action((amount: string, options: ProviderArguments) =>
    addProviderStake(readProvider(options), parseTokenAmount(amount), open(options).printer),
  )
ofProvider(provider.command('unstake').description('ask stake back; it leaves after a delay, with --finalize'))
  .argument('[lily]', 'how much, in place of what was asked before; without it, what is staked is shown')
  .addOption(new Option('--finalize', 'pay out what was asked back, once its delay is over').conflicts('cancel'))
  .option('--cancel', 'let it back jobs again')
  .action(
    (amount: string | undefined, options: ProviderArguments & { readonly finalize?: true; readonly cancel?: true }) => {
      const named = (['finalize', 'cancel'] as const).find((kind) => options[kind])
      if (amount !== undefined && named)
        throw new LilypadError('INVALID_REQUEST', `--${named} takes all that was asked back.`, {
          hint: `leave the amount away, or ask for ${amount} LILY without --${named}`,
        })
      const move: UnstakeMove =
        amount === undefined ? { kind: named ?? 'show' } : { kind: 'request', amount: parseTokenAmount(amount) }
      return moveUnstake(readProvider(options), move, open(options).printer)
    },
  )
ofProvider(provider.command('doctor').description('look at everything a provider needs, and say what to mend')).action(
  async (options: ProviderArguments) => {
    const read = () => readConfig({ args: argumentsWithKey(options), environment: process.env })
    if (!(await examineProvider(read, open(options).printer))) process.exitCode = exitCodes.failed
  },
)

program
  .command('deploy')
  .description('put all contracts on a chain: the same addresses everywhere, owned by the timelock')
  .requiredOption('--rpc-url <url>', 'RPC endpoint of the chain (anvil, Arbitrum Sepolia, Arbitrum One, …)')
  .requiredOption('--key <file>', 'key file of the deploying account, which needs ether and owns nothing afterwards')
  .requiredOption('--solver-url <url>', 'solver that clients of the network file shall use')
  .option('--name <name>', 'name of the network', 'lilypad')
  .option('--recipient <address>', 'receives the supply of LILY; default: the timelock', addressOption)
  .option('--treasury <address>', "receives the protocol's shares; default: the timelock", addressOption)
  .option('--timelock-delay <seconds>', 'between a passed proposal and its execution', wholeNumber(0, 30 * 86_400))
  .option('--out <file>', 'network file to write', 'network.json')
  .option('--record <file>', 'record of addresses and constructor arguments to write', 'deployment.json')
  .option('--json', 'print the result as one line of JSON')
  .action(({ rpcUrl, key, solverUrl, name, recipient, treasury, timelockDelay, out, record, json }: DeployArguments) =>
    deploy(
      {
        rpcUrl,
        keyFile: key,
        name,
        solverUrl,
        networkFile: resolve(out),
        recordFile: resolve(record),
        ...(recipient === undefined ? {} : { recipient }),
        ...(treasury === undefined ? {} : { treasury }),
        ...(timelockDelay === undefined ? {} : { timelockDelaySeconds: timelockDelay }),
      },
      createPrinter({ isJson: json === true }),
    ),
  )

type DeployArguments = {
  readonly rpcUrl: string
  readonly key: string
  readonly solverUrl: string
  readonly name: string
  readonly recipient?: Address
  readonly treasury?: Address
  readonly timelockDelay?: number
  readonly out: string
  readonly record: string
  readonly json?: boolean
}

/** Runs the command line of this process. */
async function main(): Promise<void> {
  installNativeCrypto()
  // A terminal that was closed cannot be written to; what runs here still has to be stopped in order.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  try {
    await program.parseAsync()
  } catch (thrown) {
    const error = toLilypadError(thrown)
    const isJson = process.argv.includes('--json')
    if (isJson) process.stdout.write(`${JSON.stringify(error.toBody())}\n`)
    process.stderr.write(
      `\nlilypad: ${plainText(error.shortMessage, 400)}\n${error.details.map((detail) => `  ${plainText(detail, 400)}\n`).join('')}  Code: ${error.code}   Charged: ${error.charged}   Docs: ${error.docsPath}\n${error.hint ? `  Hint: ${plainText(error.hint, 400)}\n` : ''}`,
    )
    if (error.code === 'INTERNAL' && process.env.LILYPAD_DEBUG)
      process.stderr.write(`${String(error.cause instanceof Error ? error.cause.stack : error.cause)}\n`)
    process.exitCode = toExitCode(error)
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main()
