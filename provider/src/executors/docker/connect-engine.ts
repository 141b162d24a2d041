import { IncomingMessage } from 'node:http'
import Docker from 'dockerode'

type Callback = Parameters<Docker['modem']['dial']>[1]
type DialOptions = Parameters<Docker['modem']['dial']>[0]

/** Where an engine listens unless it is told otherwise. */
export const defaultEngineSocket = '/var/run/docker.sock'

/**
 * A client of the engine behind a socket. Every call ends: the library waits for ever when the engine dies after the first
 * byte of an answer, as one that is killed does to all who wait for the end of a container, so whole answers are read here.
 */
export function connectEngine(socketPath: string = defaultEngineSocket): Docker {
  const docker = new Docker({ socketPath })
  const { modem } = docker
  const dial = modem.dial.bind(modem)
  modem.dial = (options: DialOptions, callback?: Callback) => {
    const answer: NonNullable<Callback> = (error, result) => callback?.(error, result)
    if (options.isStream === true || options.hijack === true || options.openStdin === true) return dial(options, answer)
    dial({ ...options, isStream: true }, (error, response) => {
      if (!(response instanceof IncomingMessage)) return answer(error, null)
      readAnswer(response).then(
        (value) => answer(null, value),
        (failure: Error) => answer(failure, null),
      )
    })
  }
  return docker
}

/** The whole of an answer: a value, or its bytes where it is not JSON. Rejects when it breaks off. */
async function readAnswer(response: IncomingMessage): Promise<object | Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  const bytes = Buffer.concat(pieces)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return bytes
  }
}
