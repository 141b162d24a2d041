import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalJson, type Json, type SigningDomain } from '@lilypad-agents/protocol'
import { findPreflightSigner, listFailedChecks, SignedPreflight } from './preflight-report.ts'

/** How long a report stands for a machine on which nothing changed. */
const freshSeconds = 86_400

const fileOf = (stateDirectory: string) => join(stateDirectory, 'preflight.json')

/** What has to be the same for an old report to stand. */
export type PreflightSubject = Pick<SignedPreflight['report'], 'facts' | 'profileDigest' | 'programDigest'>

/**
 * The last report of this node, if it passed, is of the last day, and is about the same engine, kernel, runtime,
 * profile and attacks; undefined otherwise. A file that somebody changed does not carry the provider's signature.
 */
export async function findFreshPreflight(
  stateDirectory: string,
  expected: {
    readonly subject: PreflightSubject
    readonly provider: string
    readonly domain: SigningDomain
    readonly now: Date
  },
): Promise<SignedPreflight | undefined> {
  const text = await readFile(fileOf(stateDirectory), 'utf8').catch(() => '')
  const signed = parse(text)
  if (signed === undefined) return undefined
  const { report } = signed
  const age = Math.floor(expected.now.getTime() / 1000) - report.ranAt
  const isFresh =
    age >= 0 &&
    age < freshSeconds &&
    listFailedChecks(report).length === 0 &&
    describe(report) === describe(expected.subject) &&
    findPreflightSigner(signed, expected.domain) === expected.provider.toLowerCase()
  return isFresh ? signed : undefined
}

/** Keeps a report for the next start, whole or not at all. */
export async function savePreflight(stateDirectory: string, signed: SignedPreflight): Promise<void> {
  const temporary = `${fileOf(stateDirectory)}.${process.pid}`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(`${canonicalJson(signed as Json)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, fileOf(stateDirectory))
}

const describe = ({ facts, profileDigest, programDigest }: PreflightSubject) =>
  canonicalJson({ facts, profileDigest, programDigest })

function parse(text: string): SignedPreflight | undefined {
  try {
    return SignedPreflight.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
