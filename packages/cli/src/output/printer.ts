import { stripVTControlCharacters } from 'node:util'

/** Where a command writes: results to stdout, everything on the way to stderr. */
export type Printer = {
  readonly isJson: boolean
  /** Prints the result: the value as one line of JSON with `--json`, else the lines. */
  result(value: unknown, lines: readonly string[]): void
  /** A finished step. */
  step(name: string, text: string): void
  /** What is going on now; replaced by the next one on a terminal, left out elsewhere. */
  progress(text: string): void
  note(text: string): void
  /** Bytes of a program as they come, made safe; goes where the steps go, so that results stay alone on stdout. */
  echo(text: string): void
}

// Control, format and private characters, line and paragraph separators: what a terminal obeys or hides.
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]+/gu

/** Makes text of others safe for a terminal: no control sequences, no line breaks, cut. */
export function plainText(text: string, length = 200): string {
  const plain = stripVTControlCharacters(text).replace(invisible, ' ')
  return plain.length > length ? `${plain.slice(0, length - 1)}…` : plain
}

/** Makes text of others safe for a terminal, but keeps its lines. */
export function plainLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => plainText(line, Number.POSITIVE_INFINITY))
    .join('\n')
}

/** A printer for this process. BigInts become decimal strings in JSON. */
export function createPrinter(options: { readonly isJson: boolean }): Printer {
  const { isJson } = options
  const isTerminal = process.stderr.isTTY === true
  let hasProgress = false
  const clear = () => {
    if (hasProgress) process.stderr.write('\r\u001b[2K')
    hasProgress = false
  }
  return {
    isJson,
    result(value, lines) {
      clear()
      const text = isJson
        ? JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item))
        : lines.join('\n')
      process.stdout.write(`${text}\n`)
    },
    step(name, text) {
      clear()
      process.stderr.write(`  ✔ ${name.padEnd(11)} ${text}\n`)
    },
    progress(text) {
      if (!isTerminal) return
      clear()
      process.stderr.write(`  … ${text.slice(0, (process.stderr.columns ?? 80) - 6)}`)
      hasProgress = true
    },
    note(text) {
      clear()
      process.stderr.write(`${text}\n`)
    },
    echo(text) {
      clear()
      process.stderr.write(plainLines(text))
    },
  }
}
