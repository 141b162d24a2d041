// Control, format (zero width, direction), line and paragraph separators, private use, lone surrogates and everything that
// is ignored in display, such as tag characters: what a reader would not see may not reach a model. Tabs and line feeds stay.
const invisible = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\p{DI}\u2800]/gu

/** Another party's text as a model may see it: without invisible characters, and cut. */
export function cleanText(text: string, length: number): string {
  // Cut first, so that a flood costs no more than what is shown; a cut surrogate half goes with the invisible ones.
  const visible = text
    .slice(0, length * 2)
    .replace(/\r\n?/g, '\n')
    .replace(invisible, (character) => (character === '\n' || character === '\t' ? character : ''))
  const shown = visible.slice(0, length)
  return text.length > length * 2 || visible.length > length ? `${shown.replace(/[\ud800-\udbff]$/, '')}…` : shown
}

/** One line of another party's text. */
export function cleanLine(text: string, length: number): string {
  return cleanText(text, length).replace(/[\n\t]+/g, ' ')
}

/** The path of a stranger's file as it is shown, and may be given back. */
export const shownPath = (path: string): string => cleanLine(path, 200)

/** A name that a stranger chose, as it stands in a sentence of ours. */
export const quoteName = (name: string): string => `"${name}"`

/** The same JSON, with what a reader would not see written as escapes: for documents whose exact value was signed. */
export const escapeInvisible = (json: string): string =>
  json.replace(invisible, (character) =>
    character === '\n' || character === '\t'
      ? character
      : Array.from(
          { length: character.length },
          (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
        ).join(''),
  )

/** JSON of another party with every text in it cleaned and cut, and lists and objects kept short. */
export function cleanJson(
  value: unknown,
  limits: { readonly text: number; readonly items: number },
  depth = 6,
): unknown {
  if (typeof value === 'string') return cleanText(value, limits.text)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return value
  if (depth === 0) return '…'
  if (Array.isArray(value)) return value.slice(0, limits.items).map((item) => cleanJson(item, limits, depth - 1))
  const entries = Object.entries(value).slice(0, limits.items)
  return Object.fromEntries(entries.map(([name, item]) => [cleanLine(name, 80), cleanJson(item, limits, depth - 1)]))
}
