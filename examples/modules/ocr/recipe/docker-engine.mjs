import { request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

import { BuildFailure } from './failure.mjs'

/** Speaks to the Docker Engine over its local socket; no command-line client is needed. */
export function connectEngine(socketPath) {
  return {
    /** Gives the id under which the engine holds an image, or nothing. */
    async findImage(names) {
      for (const name of names) {
        const { status, body } = await call(socketPath, 'GET', `/images/${name}/json`)
        if (status === 200) return JSON.parse(body).Id
        if (status !== 404) throw new BuildFailure(`Docker answered ${status}: ${body.slice(0, 300)}`)
      }
      return undefined
    },
    /** Loads an image archive. */
    async loadImage(archive) {
      const { status, body } = await call(socketPath, 'POST', '/images/load?quiet=1', archive)
      // The engine answers 200 before it has read the archive and reports trouble in the body.
      const trouble = body.split('\n').find((line) => line.includes('"error"'))
      if (status !== 200 || trouble)
        throw new BuildFailure(`Docker refused the image (${status}): ${(trouble ?? body).slice(0, 300)}`)
    },
  }
}

/** The engine's socket: `DOCKER_HOST` when it names one, else the usual place. */
export function engineSocket(host) {
  if (!host) return process.platform === 'win32' ? '//./pipe/docker_engine' : '/var/run/docker.sock'
  const [, path] = /^(?:unix|npipe):\/\/(.+)$/.exec(host) ?? []
  if (!path)
    throw new BuildFailure(
      `DOCKER_HOST is ${host}; only unix:// and npipe:// are spoken here. Use --archive and \`docker load\` instead.`,
    )
  return path
}

async function call(socketPath, method, path, body) {
  const headers = body ? { 'content-type': 'application/x-tar', 'transfer-encoding': 'chunked' } : {}
  const outgoing = request({ socketPath, method, path, headers })
  const answered = new Promise((resolve, reject) => outgoing.once('response', resolve).once('error', reject))
  try {
    const sent = body ? pipeline(Readable.from(body), outgoing) : outgoing.end()
    const [response] = await Promise.all([answered, sent])
    return { status: response.statusCode, body: await text(response) }
  } catch (cause) {
    throw new BuildFailure(
      `Docker cannot be reached at ${socketPath}: ${cause.message}. Start it, or use --archive <file>.`,
      { cause },
    )
  }
}
