/** What a result says, as its structured content. */
export type Facts = Readonly<Record<string, unknown>>

/** What an agent can do: exactly what a host gives a model. */
export type Toolbox = {
  readonly tools: readonly {
    readonly name: string
    readonly description?: string | undefined
    readonly inputSchema: unknown
  }[]
  readonly instructions: string
  /** @returns the structured content of the result, also of a refused call */
  call(tool: string, args: Facts): Promise<Facts>
  readResource(uri: string): Promise<unknown>
  /** Tells the user what only they can do. @returns whether they did it */
  askUser(words: string): Promise<boolean>
}

/** What the user of a task wants, for a program that cannot read the task's words. It holds nothing that the words do not say. */
export type Intent = {
  /** Words that the module has to have. */
  readonly words: string
  /** Name of the module, as the user wrote it. */
  readonly module?: string
  readonly cheapest?: boolean
  /** Look through all modules, page by page, rather than search. */
  readonly pages?: boolean
  readonly inputs?: Facts
  /** LILY. */
  readonly maxPrice?: string
  readonly waitSeconds?: number
  readonly cancel?: boolean
  readonly verify?: boolean
  readonly save?: boolean
  /** The file to save, as the user calls it. */
  readonly savePath?: string
  /** Save the file that the manifest of the job names first. */
  readonly readManifest?: boolean
  /** Only add up what was spent. */
  readonly review?: boolean
}
