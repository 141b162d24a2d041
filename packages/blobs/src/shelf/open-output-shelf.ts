import { createKuboShelf } from './kubo-shelf.ts'
import { invalidShelf, type OutputShelf } from './output-shelf.ts'
import { createS3Shelf } from './s3-shelf.ts'

/**
 * Opens the service that a URL names: `s3://bucket/prefix?region=…&endpoint=https://…`, or `kubo+http://host:5001`.
 * Credentials come from the environment alone: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
 * `KUBO_AUTHORIZATION`.
 * @throws LilypadError CONFIG_INVALID
 */
export function openOutputShelf(url: string, environment: Readonly<Record<string, string | undefined>>): OutputShelf {
  const parsed = URL.parse(url)
  if (parsed === null) throw invalidShelf('It is not a URL.')
  // Whoever writes secrets into it would find them in histories and logs.
  if (parsed.username !== '' || parsed.password !== '') throw invalidShelf('Credentials belong into the environment.')
  if (parsed.protocol === 'kubo+http:' || parsed.protocol === 'kubo+https:') {
    const authorization = environment.KUBO_AUTHORIZATION
    return createKuboShelf({ url: url.slice('kubo+'.length), ...(authorization ? { authorization } : {}) })
  }
  if (parsed.protocol !== 's3:') throw invalidShelf(`Its scheme is ${JSON.stringify(parsed.protocol.slice(0, 40))}.`)
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment
  if (!AWS_ACCESS_KEY_ID || !AWS_SECRET_ACCESS_KEY)
    throw invalidShelf('AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set.')
  const endpoint = parsed.searchParams.get('endpoint')?.replace(/\/$/, '')
  if (endpoint !== undefined && !/^https?:\/\/[^/?#@]+$/.test(endpoint))
    throw invalidShelf('Its endpoint is not an origin.')
  const region = parsed.searchParams.get('region') ?? environment.AWS_REGION
  return createS3Shelf({
    bucket: parsed.hostname,
    prefix: parsed.pathname.replace(/^\/+|\/+$/g, ''),
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}),
    ...(region ? { region } : {}),
    ...(endpoint === undefined ? {} : { endpoint }),
  })
}
