import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Options } from 'tsup'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

const packages = fileURLToPath(new URL('../../packages/', import.meta.url))
/** What is imported, and the index that stands behind it. */
const indexes: { readonly [specifier: string]: string } = {
  '@lilypad-agents/protocol': 'protocol/src/index.ts',
  '@lilypad-agents/protocol/node': 'protocol/src/node.ts',
  '@lilypad-agents/sdk': 'sdk/src/index.ts',
  '@lilypad-agents/sdk/node': 'sdk/src/node.ts',
}

/** The file in which each name of an index is made. */
function readIndex(path: string): ReadonlyMap<string, string> {
  const text = readFileSync(join(packages, path), 'utf8')
  return new Map(
    [...text.matchAll(/^export \{([^}]*)\} from '([^']+)'/gm)].flatMap(([, names = '', from = '']) =>
      names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && !name.startsWith('type '))
        .map((name): [string, string] => [name, join(packages, dirname(path), from)]),
    ),
  )
}

/**
 * Imports what our packages export from the file where it is made. esbuild puts everything that an index names into one part, so that
 * whoever needs an error class would load the chain client with it.
 */
export function pastIndexes(): Plugin {
  return {
    name: 'past-indexes',
    setup(build) {
      const known = new Map(Object.entries(indexes).map(([specifier, path]) => [specifier, readIndex(path)]))
      build.onLoad({ filter: /[\\/](servers|packages)[\\/][^\\/]+[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
        const text = readFileSync(path, 'utf8')
        const contents = text.replace(
          /^import \{([^}]*)\} from '([^']+)'/gm,
          (whole, names: string, specifier: string) => {
            const made = known.get(specifier)
            if (!made) return whole
            const values = names
              .split(',')
              .map((name) => name.trim())
              .filter((name) => name !== '' && !name.startsWith('type '))
            return values
              .map((name) => {
                const [original = name] = name.split(' as ')
                return `import { ${name} } from ${JSON.stringify(made.get(original) ?? specifier)}`
              })
              .join('; ')
          },
        )
        return { contents, loader: 'ts' }
      })
    },
  }
}
