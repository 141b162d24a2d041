import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { type Bytes32, JobBundle, LilypadError, type ModuleManifest, toDsseEnvelope } from '@lilypad-agents/protocol'
import {
  formatTokenAmount,
  type GivenFile,
  type Lilypad,
  type Output,
  StillRunningError,
  type StoredJob,
  type StoredQuote,
  type Verification,
} from '@lilypad-agents/sdk'
import { z } from 'zod'
import { createChatText } from '../output/chat-text.ts'
import { plainText, type Printer } from '../output/printer.ts'

const mediaTypes: { readonly [extension: string]: string } = {
  '.csv': 'text/csv',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.mp3': 'audio/mpeg',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.txt': 'text/plain',
  '.wav': 'audio/wav',
  '.webp': 'image/webp',
}

/** Reads a file to be an input. */
export async function readGivenFile(path: string): Promise<GivenFile> {
  try {
    return {
      bytes: await readFile(path),
      mediaType: mediaTypes[extname(path).toLowerCase()] ?? 'application/octet-stream',
      name: basename(path),
    }
  } catch (error) {
    throw new LilypadError('INVALID_REQUEST', 'The input file cannot be read.', {
      details: [`File: ${path}`],
      cause: error,
    })
  }
}

/** Turns `name=value` into an input of the type that the module's schema names. */
export function parseInputOption(option: string, schema: ModuleManifest['inputs']): readonly [string, unknown] {
  const at = option.indexOf('=')
  if (at < 1)
    throw new LilypadError('INVALID_REQUEST', 'An input is written as name=value.', {
      details: [`Input: ${plainText(option)}`],
    })
  const name = option.slice(0, at)
  const text = option.slice(at + 1)
  const type = Object.hasOwn(schema.properties, name) ? schema.properties[name]?.type : 'string'
  if (type === 'string' || type === 'object') return [name, text]
  try {
    return [name, JSON.parse(text)]
  } catch {
    return [name, text]
  }
}

export type FinishedRun = {
  readonly job: StoredJob
  readonly verification: Verification
  readonly outputs: readonly Output[]
  readonly directory: string
  readonly bundleFile: string
}

/** What a person asks for at the terminal. */
export type ModuleRequest = {
  readonly lilypad: Lilypad
  readonly printer: Printer
  readonly module: string
  readonly inputs: readonly string[]
  readonly files: readonly string[]
  readonly givenInputs?: Readonly<Record<string, unknown>>
  readonly maxPrice?: bigint
  /** Outputs are sealed to the key that orders. @default false */
  readonly seal?: boolean
}

/** Reads inputs and files as the module's schema names them, and gets a price for exactly them. */
export async function quoteModule(request: ModuleRequest): Promise<StoredQuote> {
  const { lilypad, printer, module, maxPrice, seal = false } = request
  const { manifest } = await lilypad.getModule(module)
  const inputs = {
    ...request.givenInputs,
    ...Object.fromEntries(request.inputs.map((option) => parseInputOption(option, manifest.inputs))),
  }
  const files: Record<string, GivenFile> = {}
  for (const option of request.files) {
    const at = option.indexOf('=')
    if (at < 1)
      throw new LilypadError('INVALID_REQUEST', 'A file is written as name=path.', {
        details: [`File: ${plainText(option)}`],
      })
    files[option.slice(0, at)] = await readGivenFile(option.slice(at + 1))
  }
  const stored = await quoteWhenOffered(
    () => lilypad.quote({ module, inputs, files, seal, ...(maxPrice === undefined ? {} : { maxPrice }) }),
    printer,
  )
  const { quote } = stored
  printer.step(
    'quote',
    `${manifest.name} ${manifest.version} for at most ${formatTokenAmount(quote.maxPrice)} LILY, from provider ${quote.ask.ask.provider}`,
  )
  return stored
}

/** Quotes, orders, waits, verifies, writes the outputs and the receipt into a folder, and tells each step. */
export async function runModule(
  options: ModuleRequest & {
    readonly outputDirectory: string
    readonly timeoutSeconds: number
    /** Shows what the module writes while it runs. @default false */
    readonly isFollowed?: boolean
    readonly signal?: AbortSignal
  },
): Promise<FinishedRun> {
  const { lilypad, printer, timeoutSeconds, isFollowed = false, signal } = options
  const { quote } = await quoteModule(options)
  const placed = await lilypad.order(quote.quoteId)
  printer.step('order', `${placed.orderHash} signed and reserved`)

  const watching = new AbortController()
  const watch = showProgress(lilypad, placed.orderHash, printer, watching.signal)
  const follow = isFollowed ? showStream(lilypad, placed.orderHash, printer, watching.signal) : Promise.resolve()
  const interrupted = new Promise<never>((_, reject) => {
    const stop = () => reject(new StillRunningError(placed.orderHash, 'interrupted'))
    signal?.addEventListener('abort', stop, { once: true })
  })
  const completing = lilypad
    .complete(placed.orderHash, { timeoutSeconds, ...(signal ? { signal } : {}) })
    // The last lines are on their way when the job is over.
    .finally(() => Promise.race([follow, new Promise((resolve) => setTimeout(resolve, lastLinesMilliseconds).unref())]))
  const done = await Promise.race([completing, interrupted])
    .catch((error: unknown) => {
      throw toUnfinished(placed.orderHash, error)
    })
    .finally(() => watching.abort())
  await Promise.all([watch, follow])
  const { job, verification, outputs } = done
  const { predicate } = job.delivery?.manifest ?? {}
  printer.step(
    'run',
    `${predicate?.executor.name} for ${predicate?.usage.runMilliseconds} ms, ${outputs.length} output file${outputs.length === 1 ? '' : 's'}`,
  )
  printer.step('verified', `${verification.checks.length} checks hold`)
  const directory = join(resolve(options.outputDirectory), placed.orderHash.slice(2, 14))
  const bundleFile = await writeJobFiles(lilypad, placed.orderHash, directory)
  printer.step('outputs', directory)
  return { job, verification, outputs, directory, bundleFile }
}

/** After the order is signed, what only interrupts the waiting leaves a job that goes on: says so, and how to get it. */
function toUnfinished(orderHash: Bytes32, error: unknown): unknown {
  const isOver = LilypadError.is(error) && (error.code === 'JOB_DECLINED' || error.code === 'JOB_EXPIRED')
  if (!LilypadError.is(error) || !error.retryable || isOver) return error
  return new LilypadError(error.code, error.shortMessage, {
    details: [`Job: ${orderHash}`, ...error.details.filter((detail) => !detail.includes(orderHash))],
    charged: 'reserved',
    hint: 'the job goes on without this command: `lilypad jobs resume` waits for it, pays it when it verifies, and writes its outputs',
    cause: error,
  })
}

/** A provider takes some seconds to install a module it has not seen: waits that long for the first offer. */
async function quoteWhenOffered<T>(request: () => Promise<T>, printer: Printer): Promise<T> {
  const until = Date.now() + 15_000
  for (;;) {
    try {
      return await request()
    } catch (error) {
      const isEarly = LilypadError.is(error) && error.code === 'NO_PROVIDER_AVAILABLE' && Date.now() < until
      if (!isEarly) throw error
      printer.progress('waiting for a provider that offers the module')
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

async function showProgress(
  lilypad: Lilypad,
  orderHash: Bytes32,
  printer: Printer,
  signal: AbortSignal,
): Promise<void> {
  try {
    for await (const event of lilypad.watchJob(orderHash, { signal })) {
      if (event.type === 'state') printer.progress(event.state)
      if (event.type === 'progress')
        printer.progress(`${Math.round(event.fraction * 100)} % ${plainText(event.text, 60)}`)
    }
  } catch {
    // The display is a courtesy: the job goes on without it, and `complete` reports what matters.
  }
}

/** How long what a module wrote is shown after its job is over, in milliseconds. */
const lastLinesMilliseconds = 10_000

/** Shows what the module writes, and names the files that are finished. */
async function showStream(lilypad: Lilypad, orderHash: Bytes32, printer: Printer, signal: AbortSignal): Promise<void> {
  const newDecoders = () => ({ stdout: new TextDecoder(), stderr: new TextDecoder(), response: new TextDecoder() })
  let decoders = newDecoders()
  let chat = createChatText()
  let attempt = 1
  try {
    for await (const piece of lilypad.stream(orderHash, { signal })) {
      if (piece.attempt !== attempt) {
        attempt = piece.attempt
        decoders = newDecoders()
        chat = createChatText()
        printer.note(`  the provider begins the job again (run ${attempt}); what came before does not count`)
      }
      if (piece.channel === 'file')
        printer.note(`  file ${plainText(piece.file.path)} (${piece.file.bytes} bytes) is finished`)
      else {
        const text = decoders[piece.channel].decode(piece.bytes, { stream: true })
        printer.echo(piece.channel === 'response' ? chat.push(text) : text)
      }
    }
    printer.echo(chat.end())
  } catch (error) {
    if (!signal.aborted)
      printer.note(`  ${LilypadError.is(error) ? error.shortMessage : 'The stream of the job cannot be shown.'}`)
  }
}

/** Writes the outputs of a job, its receipt bundle and the DSSE envelope of its manifest into a folder. */
export async function writeJobFiles(lilypad: Lilypad, orderHash: Bytes32, directory: string): Promise<string> {
  await mkdir(directory, { recursive: true })
  for (const output of await lilypad.fetchOutputs(orderHash)) {
    const file = join(directory, 'outputs', output.path)
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, await output.read())
    if (!output.isSealed) continue
    // What was signed are the sealed files: with them anybody can check the receipt.
    const sealed = join(directory, 'sealed', output.path)
    await mkdir(dirname(sealed), { recursive: true })
    await writeFile(sealed, await output.readDelivered())
  }
  const bundle = await lilypad.exportBundle(orderHash)
  const bundleFile = join(directory, 'receipt.json')
  await writeFile(bundleFile, `${JSON.stringify(z.encode(JobBundle, bundle), null, 2)}\n`)
  const { manifest, manifestSignature } = bundle.delivery
  await writeFile(
    join(directory, 'manifest.dsse.json'),
    `${JSON.stringify(toDsseEnvelope(manifest, manifestSignature))}\n`,
  )
  return bundleFile
}
