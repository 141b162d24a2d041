import type { LilypadReceipt } from '../receipt/receipt.ts'

/** A module that can be bought, with the least it costs now. Amounts are LILY as decimal numbers. */
export type ModuleOffer = {
  readonly name: string
  /** Id of the version. */
  readonly moduleVersion: string
  readonly version: string
  readonly title: string
  readonly summary: string
  readonly description: string
  readonly author: string
  /** JSON schema of the inputs. */
  readonly inputs: Readonly<Record<string, unknown>>
  readonly outputs: readonly { readonly path: string; readonly mediaType: string; readonly title: string }[]
  readonly price: {
    readonly perJob: string
    readonly perSecond: string
    readonly perInputUnit: string
    readonly perOutputUnit: string
  }
  readonly units: { readonly input: string; readonly output: string }
  /** Providers that offer it now. */
  readonly providers: number
}

/** A file among the inputs. */
export type JobFile = { readonly bytes: Uint8Array; readonly mediaType: string; readonly name: string }

export type JobRequest = {
  /** Name of a module, or the id of one version. */
  readonly module: string
  readonly inputs: Readonly<Record<string, unknown>>
  readonly files?: Readonly<Record<string, JobFile>> | undefined
  /** Address of the only provider that may run it. */
  readonly provider?: string | undefined
}

export type JobQuote = {
  readonly id: string
  readonly module: string
  readonly provider: string
  /** Most the job can cost, in LILY as a decimal number. */
  readonly maxPrice: string
  readonly expectedPrice: string
  readonly expectedSeconds: number
  /** Unix seconds. */
  readonly expiresAt: number
}

export type JobOutput = {
  readonly path: string
  readonly bytes: number
  /** Hexadecimal, with 0x. */
  readonly sha256: string
}

export type JobStatus = {
  readonly jobId: string
  readonly module: string
  readonly state: string
  readonly verified: boolean | null
  /** Undefined until the job is paid. */
  readonly receipt: LilypadReceipt | undefined
  readonly reason: string | undefined
  readonly outputs: readonly JobOutput[]
}

/** A job that is done, verified and paid. */
export type FinishedJob = JobStatus & { readonly receipt: LilypadReceipt }

export type RunOptions = {
  /** The same request with the same key is the same job, paid once. */
  readonly idempotencyKey: string
  /** Most it may cost, in LILY as a decimal number. Above it nothing is ordered. */
  readonly maxPrice?: string | undefined
  /** Stops waiting and cancels the job: one that is not delivered yet costs nothing. */
  readonly signal?: AbortSignal | undefined
  /** How long to wait for the job, in milliseconds. @default 600000 */
  readonly timeout?: number | undefined
  /** Told of each new state. */
  readonly onState?: ((state: string, jobId: string) => void) | undefined
}

/** Who pays for jobs: an account at a gateway, or a wallet. Tools work the same with both. */
export type Payer = {
  listModules(
    query?: {
      readonly query?: string | undefined
      readonly limit?: number | undefined
      readonly cursor?: string | undefined
    },
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly modules: readonly ModuleOffer[]; readonly nextCursor: string | null }>
  getModule(module: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<ModuleOffer>
  /** Asks for a price; nothing is ordered. */
  quote(request: JobRequest, options?: { readonly signal?: AbortSignal | undefined }): Promise<JobQuote>
  /**
   * Orders a job and waits until it is verified and paid.
   * @throws PriceOverCapError PaymentRequiredError JobFailedError VerificationFailedError JobTimeoutError
   */
  run(request: JobRequest, options: RunOptions): Promise<FinishedJob>
  getJob(jobId: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<JobStatus>
  /** Bytes of an output of a verified job. */
  readOutput(jobId: string, path: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<Uint8Array>
  /** Everything that proves the job, as JSON. */
  getBundle(jobId: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<unknown>
}
