import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** What this server promises. Each promise is kept by a test that names it, here or in a slow lane. */
const promises = {
  P1: 'the conformance suite passes in both revisions, tasks and skills included',
  P2: 'the published server fails only scenarios that need fixtures, and that list only shrinks',
  P3: 'stdio and HTTP say the same in both eras',
  P4: 'a client of any revision is served, also one that discovers first',
  P5: 'stdout carries frames only, whatever happens',
  P6: 'other hosts and origins are refused',
  P7: 'what comes in broken gets the right answer, soon',
  P8: 'a call or job that is given up stops, and costs what it says',
  S1: 'the list of tools fits a budget of tokens',
  S2: 'each tool says everything about itself, as it was reviewed',
  S3: 'the text of a result is its structured content, in small values',
  S4: 'results stay small whatever they are about',
  S5: 'arguments are read as they were meant, and errors show how',
  S6: 'pages neither skip nor repeat while things change',
  S7: 'images are previewed within a size, and only when they are what they say',
  S8: 'resources are those of the owner, byte for byte',
  S9: 'the Inspector finds nothing, and finds the page and the skills',
  M1: 'a quote is one payment, however often and wherever it is run',
  M2: 'a crash at any step loses no job and no money',
  M3: 'no sequence of calls passes a limit',
  M4: 'nobody but the user approves',
  M5: 'nothing that a call brings raises a limit',
  M6: 'what an error says it charged is what the chain says',
  M7: 'secrets stay in the process',
  M8: 'another chain, contract or price is refused before anything is signed',
  L1: 'a call waits no longer than it was asked to, and says how it goes',
  L2: 'a job of hours survives restarts and is followed in few calls',
  L3: 'many tasks cost little',
  L4: 'clients with and without tasks get the same',
  V1: 'it starts fast',
  V2: 'it lists and reads fast',
  V3: 'it stays small in memory',
  V4: 'it installs small',
  A1: 'an agent comes to the right final state in every task of the evals',
  A2: 'no text of strangers leaves its place or makes anybody spend',
  A3: 'the fix of every error leads on',
  A4: "it works behind LangChain's adapters",
} as const

const folders = ['servers/mcp', 'packages/sdk', 'packages/testkit', 'bench'].flatMap((folder) =>
  ['src', 'test', 'slow'].map((part) => `${folder}/${part}`).filter((path) => existsSync(join(root, path))),
)
const isLane = (path: string) => /\.slow\.(ts|mjs)$|^packages\/testkit\/slow\/|^bench\/|\/evals\/main\.ts$/.test(path)

/** Names of tests, and what a slow lane says about itself. */
function readClaims(): string {
  return folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
    )
    .filter((path) => /\.(ts|mjs)$/.test(path) && !path.endsWith('checklist.test.ts'))
    .flatMap((path): readonly string[] => {
      if (isLane(path)) return [readFileSync(join(root, path), 'utf8')]
      if (!path.endsWith('.test.ts')) return []
      // The name of a test begins with what it keeps.
      return readFileSync(join(root, path), 'utf8').match(/(?<=['"`])[PSMLVA]\d(, [PSMLVA]\d)*: /g) ?? []
    })
    .join('\n')
}

const claims = readClaims()
const isKept = (id: string) => new RegExp(`\\b${id}\\b`).test(claims)

test.each(Object.entries(promises))('%s has a test: %s', (id) => {
  expect(isKept(id), `no test is named after ${id}`).toBe(true)
})
