import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type LookupFunction, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publicLookup } from '@lilypad-agents/blobs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EgressProxy, type EgressProxyOptions } from './egress-proxy.ts'

let folder: string
let socketPath: string
let proxy: EgressProxy
let upstream: Server
let port: number
let seen: { readonly url: string | undefined; readonly headers: IncomingMessage['headers']; readonly body: string }[]

/** Answers every name with the next of these lists of addresses, and counts the questions. */
function resolver(...answers: readonly (readonly string[])[]): LookupFunction & { asked: number } {
  const lookup: LookupFunction = (_name, options, callback) => {
    const found = (answers[Math.min(resolving.asked, answers.length - 1)] ?? []).map((address) => ({
      address,
      family: 4,
    }))
    resolving.asked += 1
    if (options.all === true) callback(null, found)
    else callback(null, found[0]?.address ?? '', 4)
  }
  const resolving = Object.assign(lookup, { asked: 0 })
  return resolving
}
const toLoopback = () => resolver(['127.0.0.1'])

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-egress-'))
  socketPath = join(folder, 'egress')
  seen = []
  upstream = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += String(piece)
    seen.push({ url: request.url, headers: request.headers, body })
    response.setHeader('x-from', 'upstream').end(`${request.method} ${request.url} ${body}`)
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  port = (upstream.address() as AddressInfo).port
})
afterEach(async () => {
  await proxy.close()
  upstream.closeAllConnections()
  await new Promise((resolve) => upstream.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

async function open(changes: Partial<EgressProxyOptions> = {}): Promise<void> {
  proxy = await EgressProxy.listen({ socketPath, hosts: [`api.example.org:${port}`], lookup: toLoopback(), ...changes })
}

/** What comes back for these bytes until the other end hangs up, or has said `until`. */
function say(text: string, until?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(socketPath)
    socket.on('data', (piece) => {
      answer += String(piece)
      if (until !== undefined && answer.includes(until)) {
        socket.destroy()
        resolve(answer)
      }
    })
    socket.on('error', reject).on('close', () => resolve(answer))
    socket.write(text)
  })
}
const get = (url: string, host: string, more = '') =>
  say(`GET ${url} HTTP/1.1\r\nHost: ${host}\r\n${more}Connection: close\r\n\r\n`)
const statusOf = (answer: string) => Number(answer.split(' ')[1])

describe('lets through', () => {
  test('a plain request for a declared host, without what is between neighbours only', async () => {
    await open()
    const host = `api.example.org:${port}`
    const answer = await get(`http://${host}/a?b=c`, host, 'Proxy-Authorization: Basic eA==\r\nX-Own: 1\r\n')
    expect(statusOf(answer)).toBe(200)
    expect(answer).toContain('x-from: upstream')
    expect(answer).toMatch(/GET \/a\?b=c/)
    expect(seen[0]?.headers).toEqual({ host, 'x-own': '1', connection: 'close' })
    const { connections, refused, sentBytes, receivedBytes } = proxy.counts()
    expect([connections, refused, sentBytes > 20, receivedBytes > 20]).toEqual([1, 0, true, true])
  })

  test('a body, said anew', async () => {
    await open()
    const host = `api.example.org:${port}`
    const chunked = 'Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
    expect(await say(`POST http://${host}/ HTTP/1.1\r\nHost: ${host}\r\n${chunked}`)).toMatch(/POST \/ abc/)
    expect(seen[0]).toMatchObject({ body: 'abc', headers: { 'transfer-encoding': 'chunked' } })
  })

  test('a tunnel to a declared host, in capitals too, both ways to the end', async () => {
    await open()
    const answer = await say(
      `CONNECT API.example.org:${port} HTTP/1.1\r\nHost: api.example.org\r\n\r\nGET /in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    )
    expect(answer).toMatch(/^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200/)
    expect(answer).toMatch(/GET \/in/)
    expect(proxy.counts()).toMatchObject({ connections: 1, refused: 0 })
  })
})

describe('refuses', () => {
  const declared = () => `api.example.org:${port}`
  test.each<[string, () => string]>([
    ['a tunnel to an address', () => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`],
    [
      'a tunnel to the metadata of a cloud',
      () => 'CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n',
    ],
    ['a tunnel to an address in IPv6', () => `CONNECT [::1]:${port} HTTP/1.1\r\nHost: [::1]:${port}\r\n\r\n`],
    ['a tunnel to another host', () => `CONNECT evil.example.org:${port} HTTP/1.1\r\nHost: evil.example.org\r\n\r\n`],
    ['a tunnel to a host below', () => `CONNECT x.api.example.org:${port} HTTP/1.1\r\nHost: x.api.example.org\r\n\r\n`],
    ['a tunnel to another port', () => 'CONNECT api.example.org:22 HTTP/1.1\r\nHost: api.example.org\r\n\r\n'],
    ['a tunnel to no port', () => 'CONNECT api.example.org HTTP/1.1\r\nHost: api.example.org\r\n\r\n'],
    ['a tunnel to a name with a dot at its end', () => `CONNECT api.example.org.:${port} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['a tunnel under the name of another', () => `CONNECT ${declared()} HTTP/1.1\r\nHost: evil.example.org\r\n\r\n`],
    ['an address', () => `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`],
    ['an address as a number', () => `GET http://2130706433:${port}/ HTTP/1.1\r\nHost: 2130706433:${port}\r\n\r\n`],
    ['another host', () => `GET http://evil.example.org:${port}/ HTTP/1.1\r\nHost: evil.example.org:${port}\r\n\r\n`],
    ['another port', () => 'GET http://api.example.org/ HTTP/1.1\r\nHost: api.example.org\r\n\r\n'],
    ['another Host header than the URL', () => `GET http://${declared()}/ HTTP/1.1\r\nHost: evil.example.org\r\n\r\n`],
    [
      'two Host headers',
      () => `GET http://${declared()}/ HTTP/1.1\r\nHost: ${declared()}\r\nHost: evil.example.org\r\n\r\n`,
    ],
    ['no Host header', () => `GET http://${declared()}/ HTTP/1.1\r\n\r\n`],
    ['a path without a host', () => `GET / HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`],
    ['https without a tunnel', () => `GET https://${declared()}/ HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`],
    ['a URL with credentials', () => `GET http://a:b@${declared()}/ HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`],
    [
      'a host hidden behind credentials',
      () => `GET http://${declared()}@evil.example.org:${port}/ HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`,
    ],
    [
      'two lengths of one body',
      () =>
        `POST http://${declared()}/ HTTP/1.1\r\nHost: ${declared()}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n`,
    ],
    ['what is no request', () => '\u0016\u0003\u0001 hello\r\n\r\n'],
    ['a header without an end', () => `GET http://${declared()}/ HTTP/1.1\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
  ])('%s', async (_, text) => {
    await open()
    const answer = await say(text(), '\r\n\r\n')
    expect([400, 403, 431]).toContain(statusOf(answer))
    expect(seen).toEqual([])
    expect(proxy.counts().connections).toBe(0)
  })

  test.each<[string, readonly string[]]>([
    ['this machine', ['127.0.0.1']],
    ['a private network', ['10.1.2.3']],
    ['the metadata of a cloud', ['169.254.169.254']],
    ['a public and a private address', ['1.1.1.1', '192.168.1.1']],
    ['nothing', []],
  ])('a declared name that stands for %s', async (_, addresses) => {
    const lookup = resolver(addresses)
    await open({ lookup: publicLookup(lookup) })
    for (const text of [
      `CONNECT ${declared()} HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`,
      `GET http://${declared()}/ HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`,
    ])
      expect(statusOf(await say(text, '\r\n\r\n'))).toBe(403)
    expect(lookup.asked).toBe(2)
    expect(seen).toEqual([])
  })

  test('a declared name that changes its mind: it is asked once, and the address that was checked is used', async () => {
    // Of a block that is given to nobody, so nobody answers there.
    const lookup = resolver(['203.0.114.1'], ['127.0.0.1'])
    await open({ lookup: publicLookup(lookup), connectSeconds: 0.3 })
    const answer = await say(`CONNECT ${declared()} HTTP/1.1\r\nHost: ${declared()}\r\n\r\n`, '\r\n\r\n')
    expect([502, 504]).toContain(statusOf(answer))
    expect(lookup.asked).toBe(1)
    expect(seen).toEqual([])
  })
})

describe('a host of the module author, whose answers are anything', () => {
  test.each<[string, string]>([
    ['a status below any that there is', 'HTTP/1.1 099 Low\r\ncontent-length: 0\r\n\r\n'],
    ['no status', 'HTTP/1.1 000 None\r\ncontent-length: 0\r\n\r\n'],
    ['a change of protocol', 'HTTP/1.1 101 Switching\r\nupgrade: other\r\nconnection: upgrade\r\n\r\nhello'],
    ['two answers', `${'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'.repeat(2)}`],
    ['a body where none may be', 'HTTP/1.1 204 None\r\ncontent-length: 5\r\n\r\nhello'],
    ['a reason with what is no text', 'HTTP/1.1 200 \u0001\u00ff\r\nx: \u00ff\r\ncontent-length: 0\r\n\r\n'],
    ['a hint before the answer', 'HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['less than it announces', 'HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello'],
  ])('cannot end the node: %s', { timeout: 5000 }, async (_, text) => {
    const thrown: unknown[] = []
    const note = (error: unknown) => thrown.push(error)
    const others = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', note)
    const hostile = createTcpServer((socket) => {
      socket.on('error', () => {}).once('data', () => socket.end(Buffer.from(text, 'latin1')))
    }).listen(0, '127.0.0.1')
    try {
      await once(hostile, 'listening')
      const host = `api.example.org:${(hostile.address() as AddressInfo).port}`
      await open({ hosts: [host], idleSeconds: 1 })
      const answer = await get(`http://${host}/`, host)
      expect(thrown).toEqual([])
      expect(answer === '' || [200, 204, 502].includes(statusOf(answer))).toBe(true)
    } finally {
      process.removeListener('uncaughtException', note)
      for (const listener of others) process.on('uncaughtException', listener)
      hostile.close()
    }
  })
})

describe('bounds', () => {
  const tunnel = () => `CONNECT api.example.org:${port} HTTP/1.1\r\nHost: api.example.org\r\n\r\n`
  const openTunnel = async (): Promise<Socket> => {
    const socket = connect(socketPath).on('error', () => {})
    socket.write(tunnel())
    await once(socket, 'data')
    return socket
  }

  test('connections at a time, and in all', async () => {
    await open({ maxAtOnce: 2, maxConnections: 3 })
    const held = [await openTunnel(), await openTunnel()]
    expect(statusOf(await say(tunnel(), '\r\n\r\n'))).toBe(429)
    held[0]?.destroy()
    await expect.poll(async () => statusOf(await say(tunnel(), '\r\n\r\n'))).toBe(200)
    held[1]?.destroy()
    await expect
      .poll(async () => (await say(tunnel(), '\r\n\r\n')).split('\r\n\r\n')[1])
      .toBe('lilypad: the job has made its 3 connections\n')
    expect(proxy.counts().connections).toBe(3)
  })

  test('bytes of all connections together, whichever way they go', async () => {
    const flood = createTcpServer((socket) => {
      socket.on('error', () => {})
      const pour = () => {
        while (socket.writable && socket.write(Buffer.alloc(16_384)));
      }
      socket.on('drain', pour)
      pour()
    }).listen(0, '127.0.0.1')
    await once(flood, 'listening')
    const floodPort = (flood.address() as AddressInfo).port
    await open({ hosts: [`api.example.org:${floodPort}`], maxBytes: 100_000 })
    const asked = `CONNECT api.example.org:${floodPort} HTTP/1.1\r\nHost: api.example.org\r\n\r\n`
    const answer = await say(asked)
    expect(answer.length).toBeLessThanOrEqual(100_100)
    expect(statusOf(await say(asked, '\r\n\r\n'))).toBe(429)
    expect(proxy.counts().receivedBytes).toBeLessThan(100_000 + 2 * 65_536)
    flood.close()
  })

  test('those who connect and say nothing: they are cut off, and others get through', async () => {
    await open({ maxAtOnce: 4, connectSeconds: 1 })
    const silent = Array.from({ length: 40 }, () => connect(socketPath).on('error', () => {}))
    const half = connect(socketPath).on('error', () => {})
    half.write('GET http://api.exam')
    await expect
      .poll(async () => statusOf(await say(tunnel(), '\r\n\r\n').catch(() => '')), { timeout: 10_000, interval: 200 })
      .toBe(200)
    // None of them has read a byte until now.
    for (const socket of [...silent, half]) socket.resume()
    await expect
      .poll(() => silent.every(({ destroyed }) => destroyed) && half.destroyed, { timeout: 10_000 })
      .toBe(true)
  })

  test('a host that does not answer and one that falls silent', async () => {
    const mute = createTcpServer(() => {}).listen(0, '127.0.0.1')
    await once(mute, 'listening')
    const host = `api.example.org:${(mute.address() as AddressInfo).port}`
    await open({ hosts: [host], idleSeconds: 0.2 })
    expect(await say(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\nhello`)).toMatch(/^HTTP\/1\.1 200/)
    expect(statusOf(await get(`http://${host}/`, host))).toBe(502)
    mute.close()
  })

  test('the end of the job: everything is cut', async () => {
    await open()
    const held = await openTunnel()
    const gone = once(held, 'close')
    await proxy.close()
    await gone
    await expect(say(tunnel())).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
