import { createInterface } from 'node:readline/promises'

/** Where a command shows what it knows and asks a person. */
export type Terminal = {
  /** Whether a person sits there, as far as can be told. */
  readonly isInteractive: boolean
  write(text: string): void
  ask(question: string): Promise<string>
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout } = process
  return {
    isInteractive: stdin.isTTY === true && stdout.isTTY === true,
    write: (text) => void stdout.write(text),
    async ask(question) {
      const lines = createInterface({ input: stdin, output: stdout })
      try {
        return (await lines.question(question)).trim()
      } finally {
        lines.close()
      }
    },
  }
}

/** Rows as aligned columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
