const maxLength = 64

/** Name of a tool that every model server takes, for a module of any name; another one for each of them. */
export function toToolName(module: string, taken: ReadonlySet<string> = new Set()): string {
  const name =
    module
      .replace(/[^a-zA-Z0-9_-]+/g, '_')
      .replace(/^_+|_+$/g, '')
      .slice(0, maxLength) || 'module'
  for (let number = 1; ; number++) {
    const suffix = number === 1 ? '' : `_${number}`
    const tried = `${name.slice(0, maxLength - suffix.length)}${suffix}`
    if (!taken.has(tried)) return tried
  }
}
