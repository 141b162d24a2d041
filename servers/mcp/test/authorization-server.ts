import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import Provider from 'oidc-provider'

/** An authorization server on loopback that logs everybody in who asks as somebody, and lets them have what they ask for. */
export type AuthorizationServer = {
  readonly issuer: string
  /** Signs a token as the server would, with what the test wants in it. */
  sign(claims: JWTPayload, header?: Record<string, unknown>): Promise<string>
  /** How often its keys were asked for. */
  keyRequests(): number
  /** Answers nothing any more, or again. */
  setAway(isAway: boolean): void
  close(): Promise<void>
}

const scopes = 'lilypad:read lilypad:spend'

/** A client that the server knows. */
export const testClient = { client_id: 'test', redirect_uris: ['http://127.0.0.1:1/callback'] }

/** Starts it for one resource; `accountOf` names who is at the keyboard. */
export async function startAuthorizationServer(options: {
  readonly resource: () => string
  readonly accountOf: () => string
}): Promise<AuthorizationServer> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const key = { ...(await exportJWK(privateKey)), kid: 'first', alg: 'ES256', use: 'sig' }
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  let keyRequests = 0
  let isAway = false
  const server = createServer((request, response) => {
    if (isAway) return void response.destroy()
    if (request.url === '/jwks') keyRequests += 1
    handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no address')
  const issuer = `http://127.0.0.1:${address.port}`
  const provider = new Provider(issuer, {
    jwks: { keys: [key as never] },
    cookies: { keys: ['a key of a test'] },
    clients: [
      {
        ...testClient,
        client_name: 'test',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        id_token_signed_response_alg: 'ES256',
      },
    ],
    findAccount: (_context, sub) => ({ accountId: sub, claims: async () => ({ sub }) }),
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => {
          if (resource !== options.resource()) throw new Error('another resource')
          return { scope: scopes, audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
        },
        useGrantedResource: () => true,
      },
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    async loadExistingGrant(context) {
      const { client, params, session } = context.oidc
      const grant = new provider.Grant({
        ...(client ? { clientId: client.clientId } : {}),
        ...(session?.accountId ? { accountId: session.accountId } : {}),
      })
      grant.addResourceScope(options.resource(), String(params?.scope ?? ''))
      await grant.save()
      return grant
    },
  })
  const serve = provider.callback()
  handle = (request, response) => {
    if (!request.url?.startsWith('/interaction/')) return void serve(request, response)
    provider
      .interactionFinished(request, response, { login: { accountId: options.accountOf() }, consent: {} })
      .catch(() => response.destroy())
  }
  return {
    issuer,
    sign: (claims, header = {}) =>
      new SignJWT({
        iss: issuer,
        sub: 'alice',
        aud: options.resource(),
        scope: scopes,
        exp: Math.floor(Date.now() / 1000) + 600,
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', kid: 'first', typ: 'at+jwt', ...header })
        .sign(privateKey),
    keyRequests: () => keyRequests,
    setAway(value) {
      isAway = value
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
