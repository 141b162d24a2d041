import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { brotliCompressSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { pageRoutes } from './page.ts'

const script = 'console.log("frog")'
const opened: { server: Server; folder: string }[] = []
afterEach(() => {
  for (const { server, folder } of opened.splice(0)) {
    server.close()
    rmSync(folder, { recursive: true })
  }
})

/** A server of a small page; without `files` of an empty folder. */
async function openPage(hasFiles = true): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'lp-page-'))
  if (hasFiles) {
    mkdirSync(join(folder, 'assets'))
    writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Lilypad</title>')
    writeFileSync(join(folder, 'assets', 'index-abc.js'), script)
    writeFileSync(join(folder, 'assets', 'index-abc.js.br'), brotliCompressSync(script))
  }
  const server = createServer(express().use(pageRoutes(folder)))
  opened.push({ server, folder })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('the document is asked for again each time, and may run nothing but scripts of its own', async () => {
  const response = await fetch(await openPage())
  expect(await response.text()).toContain('<title>Lilypad</title>')
  const { headers } = response
  expect(headers.get('cache-control')).toBe('no-cache')
  const policy = headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'none'; script-src 'self'")
  expect(policy).not.toMatch(/unsafe|\*|https?:/)
})

test('files with a digest in their name are kept for ever, and come as they were compressed', async () => {
  const url = `${await openPage()}/assets/index-abc.js`
  const packed = await fetch(url, { headers: { 'accept-encoding': 'br' } })
  expect(packed.headers.get('content-encoding')).toBe('br')
  expect(packed.headers.get('vary')).toMatch(/accept-encoding/i)
  expect(packed.headers.get('cache-control')).toContain('immutable')
  expect(await packed.text()).toBe(script)
  const plain = await fetch(url, { headers: { 'accept-encoding': 'identity' } })
  expect(plain.headers.get('content-encoding')).toBeNull()
  expect(await plain.text()).toBe(script)
})

test.each(['/assets/other.js', '/assets/..%2f..%2fpackage.json', '/index-abc.js', '/v1/models'])(
  '%s is not its business',
  async (path) => {
    expect((await fetch(`${await openPage()}${path}`)).status).toBe(404)
  },
)

test('a folder without a page leaves the address empty', async () => {
  expect((await fetch(await openPage(false))).status).toBe(404)
})
