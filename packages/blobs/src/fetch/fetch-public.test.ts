import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { PublicFetcher } from './fetch-public.ts'
import { isPublicAddress } from './public-address.ts'

test.each([
  '127.0.0.1',
  '127.255.1.2',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '100.100.100.200',
  '192.0.0.192',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::7f00:1',
  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '64:ff9b::7f00:1',
  '64:ff9b:1::1',
  '2002:7f00:1::',
  '2001::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  '5f00::1',
  'localhost',
  '',
])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false))

test.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])(
  '%s is public',
  (address) => expect(isPublicAddress(address)).toBe(true),
)

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

async function serve(listener: RequestListener): Promise<{ readonly server: Server; readonly url: string }> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close() {
      server.closeAllConnections()
      server.close()
    },
  })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function fetcherWith(options: ConstructorParameters<typeof PublicFetcher>[0] = {}): PublicFetcher {
  const fetcher = new PublicFetcher({ timeoutSeconds: 5, idleSeconds: 1, ...options })
  open.push(fetcher)
  return fetcher
}

/** Answers a name with these addresses, one list after the other, and counts the questions. */
function resolver(...answers: readonly (readonly string[])[]): LookupFunction & { asked: number } {
  const lookup: LookupFunction = (_name, options, callback) => {
    const addresses = (answers[Math.min(resolving.asked, answers.length - 1)] ?? []).map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }))
    resolving.asked += 1
    if (options.all === true) callback(null, addresses)
    else callback(null, addresses[0]?.address ?? '', 4)
  }
  const resolving = Object.assign(lookup, { asked: 0 })
  return resolving
}

async function read(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

describe('a URL of others', () => {
  test.each([
    ['http', 'http://1.1.1.1/'],
    ['a file', 'file:///etc/passwd'],
    ['no URL', 'pond'],
    ['with credentials', 'https://user:secret@1.1.1.1/'],
    ['loopback', 'https://127.0.0.1/'],
    ['loopback as a number', 'https://2130706433/'],
    ['loopback in octal', 'https://0177.1/'],
    ['loopback in IPv6', 'https://[::1]/'],
    ['loopback mapped into IPv6', 'https://[::ffff:7f00:1]/'],
    ['metadata of a cloud', 'https://169.254.169.254/latest/meta-data/'],
    ['a name of this machine', 'https://localhost/'],
  ])('is refused: %s', async (_name, url) => {
    const failure = await fetcherWith()
      .fetch(url, { maxBytes: 100 })
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'ADDRESS_NOT_ALLOWED' })
    expect(String(failure)).not.toContain('secret')
  })

  test.each([
    ['private', ['10.0.0.1']],
    ['private beside a public one', ['1.1.1.1', '127.0.0.1']],
    ['private in IPv6', ['fd00:ec2::254']],
    ['nothing', []],
  ])('is refused when its name stands for %s', async (_name, addresses) => {
    const lookup = resolver(addresses)
    await expect(fetcherWith({ lookup }).fetch('https://pond.example/', { maxBytes: 100 })).rejects.toMatchObject({
      code: 'ADDRESS_NOT_ALLOWED',
    })
    expect(lookup.asked).toBe(1)
  })

  test('is resolved once, so that a name that changes its mind gains nothing', async () => {
    // The first is of a block that is given to nobody, so nobody answers there.
    const lookup = resolver(['2d00::1'], ['127.0.0.1'])
    const { url } = await serve((_request, response) => response.end('inside'))
    const target = `https://rebind.example:${new URL(url).port}/`
    await expect(fetcherWith({ lookup, idleSeconds: 0.3 }).fetch(target, { maxBytes: 100 })).rejects.toMatchObject({
      code: 'OUTPUT_UNAVAILABLE',
    })
    expect(lookup.asked).toBe(1)
  })
})

describe('with private addresses allowed', () => {
  const local = (options: ConstructorParameters<typeof PublicFetcher>[0] = {}) =>
    fetcherWith({ allowPrivate: true, ...options })

  test('follows a few redirects, and no further', async () => {
    const { url } = await serve((request, response) => {
      const left = Number(request.url?.slice(1))
      if (left === 0) return response.end('there')
      response.writeHead(302, { location: `/${left - 1}` }).end()
    })
    expect(await read((await local().fetch(`${url}/3`, { maxBytes: 100 })).body)).toBe('there')
    await expect(local().fetch(`${url}/4`, { maxBytes: 100 })).rejects.toThrow('too many redirects')
  })

  test.each(['file:///etc/passwd', 'ftp://1.1.1.1/', 'http://a:b@127.0.0.1/', 'http://'])(
    'checks where a redirect leads: %s',
    async (location) => {
      const { url } = await serve((_request, response) => response.writeHead(302, { location }).end())
      await expect(local().fetch(url, { maxBytes: 100 })).rejects.toMatchObject({ code: 'ADDRESS_NOT_ALLOWED' })
    },
  )

  test('breaks off what is too long, whatever it says of its length', async () => {
    const { url } = await serve((_request, response) => {
      response.write('12345')
      response.end('67890')
    })
    const { body } = await local().fetch(url, { maxBytes: 8 })
    await expect(read(body)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  })

  test('does not wait for a server that is silent, before or within its answer', async () => {
    const { url } = await serve((request, response) => {
      if (request.url === '/within') response.write('a')
    })
    const quick = () => local({ idleSeconds: 0.2 })
    await expect(quick().fetch(url, { maxBytes: 8 })).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
    const { body } = await quick().fetch(`${url}/within`, { maxBytes: 8 })
    await expect(read(body)).rejects.toMatchObject({ code: 'OUTPUT_UNAVAILABLE' })
  })

  test('says what a server refused', async () => {
    const { url } = await serve((_request, response) => response.writeHead(403).end('<b>go away</b>'))
    await expect(local().fetch(`${url}/?secret=1`, { maxBytes: 8 })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      status: 403,
      details: [`URL: "${url}"`, 'Reason: status 403'],
    })
  })
})
