import { open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Address,
  canonicalJson,
  findAttestationFault,
  type Json,
  SignedAttestation,
  type SigningDomain,
} from '@lilypad-agents/protocol'

/** How long a report stands for a machine on which nothing changed. */
const freshSeconds = 86_400

const fileOf = (stateDirectory: string) => join(stateDirectory, 'preflight.json')

/** What has to be the same for an old report to stand. */
export type PreflightSubject = Pick<SignedAttestation['report'], 'facts' | 'policy' | 'profileDigest' | 'programDigest'>

/**
 * The last report of this node, if it passed, is of the last day, and is about the same engine, kernel, runtime,
 * profile and attacks; undefined otherwise. A file that somebody changed does not carry the provider's signature.
 */
export async function findFreshPreflight(
  stateDirectory: string,
  expected: {
    readonly subject: PreflightSubject
    readonly provider: Address
    readonly domain: SigningDomain
    readonly now: Date
  },
): Promise<SignedAttestation | undefined> {
  const signed = await findLastPreflight(stateDirectory)
  if (signed === undefined) return undefined
  const { report } = signed
  const at = Math.floor(expected.now.getTime() / 1000)
  const age = at - report.ranAt
  const isFresh =
    age >= 0 &&
    age < freshSeconds &&
    describe(report) === describe(expected.subject) &&
    findAttestationFault(signed, { ...expected, at }) === undefined
  return isFresh ? signed : undefined
}

/** The last report of a node, whatever it says and whoever signed it. Undefined when there is none that can be read. */
export async function findLastPreflight(stateDirectory: string): Promise<SignedAttestation | undefined> {
  return parse(await readFile(fileOf(stateDirectory), 'utf8').catch(() => ''))
}

/** Keeps a report for the next start, whole or not at all. */
export async function savePreflight(stateDirectory: string, signed: SignedAttestation): Promise<void> {
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

const describe = ({ facts, policy, profileDigest, programDigest }: PreflightSubject) =>
  canonicalJson({ facts, policy, profileDigest, programDigest })

function parse(text: string): SignedAttestation | undefined {
  try {
    return SignedAttestation.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
