import type { ModuleManifest } from '@lilypad-agents/protocol'

/** Text of a module that a search looks at, and how much a hit in it counts. */
const fields = [
  { weight: 8, text: (manifest: ModuleManifest) => manifest.name },
  { weight: 4, text: (manifest: ModuleManifest) => manifest.title },
  { weight: 2, text: (manifest: ModuleManifest) => manifest.summary },
  { weight: 1, text: (manifest: ModuleManifest) => manifest.description },
] as const

/** Modules that hold a word of the query, best first; all of them by name for an empty query. */
export function searchModules<T extends { readonly manifest: ModuleManifest }>(
  modules: readonly T[],
  query: string,
): readonly T[] {
  const words = query
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean)
    .slice(0, 16)
  const byName = [...modules].sort((a, b) => (a.manifest.name < b.manifest.name ? -1 : 1))
  if (words.length === 0) return byName
  return byName
    .map((module) => ({ module, score: scoreOf(module.manifest, words) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ module }) => module)
}

function scoreOf(manifest: ModuleManifest, words: readonly string[]): number {
  const texts = fields.map(({ weight, text }) => ({ weight, text: text(manifest).toLowerCase() }))
  const scores = words.map((word) =>
    texts.reduce((sum, { weight, text }) => sum + (text.includes(word) ? weight : 0), 0),
  )
  const hits = scores.filter((score) => score > 0).length
  // A module that holds every word comes before one that holds a single word in a better place.
  return scores.reduce((sum, score) => sum + score, 0) + hits * hits * 16
}
