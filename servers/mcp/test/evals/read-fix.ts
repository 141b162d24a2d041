/** What a model can do next about an error, as the words of its `fix` say it. */
export type Step =
  | { readonly kind: 'again' }
  | { readonly kind: 'quote' }
  | { readonly kind: 'search' }
  | { readonly kind: 'correct' }
  | { readonly kind: 'tool'; readonly tool: string }
  | { readonly kind: 'user'; readonly words: string }

const rules: readonly (readonly [RegExp, Step['kind']])[] = [
  [/\b(ask|tell) the user\b/, 'user'],
  [/\bcorrect\b|inputs smaller|^give |another path|^encode |^put /, 'correct'],
  [/lilypad_(search_modules|get_wallet)|cheaper job|another module/, 'search'],
  [/lilypad_quote_job/, 'quote'],
  [/call lilypad_run_job again/, 'again'],
  [/lilypad_/, 'tool'],
  [/\bagain\b|\bwait\b/, 'again'],
]

/**
 * Reads the words of a `fix` the way a careful reader does, without knowing what the code means: parts that are separated by `;` or `or`
 * are tried one after the other.
 * @returns the steps in their order; none when the words say nothing that can be done
 */
export function readFix(fix: string): readonly Step[] {
  return fix.split(/;|, or (?=ask|choose|wait|use|add)|, (?=tell the user|ask the user)/).flatMap((part): Step[] => {
    const words = part.trim()
    const kind = rules.find(([words_]) => words_.test(words))?.[1]
    if (kind === undefined) return []
    if (kind === 'user') return [{ kind, words }]
    if (kind === 'tool') return [{ kind, tool: /lilypad_[a-z_]+/.exec(words)?.[0] ?? '' }]
    return [{ kind }]
  })
}
