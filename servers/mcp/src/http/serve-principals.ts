import type { IncomingMessage, ServerResponse } from 'node:http'
import { LilypadError } from '@lilypad-agents/protocol'
import { createMcpApp } from '../app.ts'
import { openAuditLog, toAuditEntry } from '../audit/audit-log.ts'
import { createBearerGate } from '../auth/bearer-gate.ts'
import type { Authenticator, Caller } from '../auth/caller.ts'
import type { McpConfig } from '../config/config.ts'
import type { HttpAuth, HttpConfig } from '../config/http-settings.ts'
import type { Scope } from '../auth/scope.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { openAllotments } from '../principals/allotments.ts'
import { createPrincipalApps } from '../principals/principal-apps.ts'
import { type PrincipalTerms, takesShare, toPrincipalConfig } from '../principals/principal-config.ts'
import { clientAddress } from './client-address.ts'
import { refuseForNow } from './refusal.ts'
import { requiredScope } from './required-scope.ts'
import { maxBodyBytes } from './serve-anyone.ts'
import { createMcpEndpoint } from './serve-mcp.ts'
import type { McpService } from './start-mcp-http.ts'
import { createTokenBuckets } from './token-buckets.ts'

const maxSessions = 20
const maxSubscriptions = 20
const validityMilliseconds = 5000

/** What serves one principal over HTTP. */
type PrincipalEndpoint = {
  handle(request: IncomingMessage, response: ServerResponse, isAllowed: (body: unknown) => boolean): Promise<void>
  hasEffect(tool: string): boolean
  isBusy(): boolean
  close(): Promise<void>
}

/**
 * Serves callers with tokens. Each principal has an app of its own: jobs, ledger, files, sessions and streams of one can be named by no
 * other, because what another names is looked up in the other's folder.
 * @throws LilypadError CONFIG_INVALID when the token file cannot be read
 */
export async function servePrincipals(options: {
  readonly config: McpConfig
  readonly http: HttpConfig
  /** The address of this server as clients see it. */
  readonly resource: () => string
  readonly logger: Logger
}): Promise<McpService> {
  const { config, http, resource, logger } = options
  const authenticator = await createAuthenticator(http.auth, resource, logger)
  const audit = openAuditLog(config.stateDirectory, logger)
  const allotments = openAllotments(http.principalsDirectory, config.policy)
  const byAddress = createTokenBuckets({ perMinute: http.requestsPerMinute * 2 })
  const byPrincipal = createTokenBuckets({ perMinute: http.requestsPerMinute })
  const open = new Map<ServerResponse, Caller>()
  const addressOf = (request: IncomingMessage) => clientAddress(request, http.trustedProxies)
  const gate = createBearerGate({
    authenticator,
    resource,
    ...(http.auth.kind === 'oauth' ? { issuer: http.auth.issuer } : {}),
    onRefused: (request, code) => audit.write({ event: 'refused', address: addressOf(request), code }),
  })
  const apps = createPrincipalApps({ directory: http.principalsDirectory, logger, open: openPrincipal })
  const timer = setInterval(endInvalid, validityMilliseconds).unref()

  function openPrincipal(principal: string, terms: PrincipalTerms): PrincipalEndpoint {
    const own = toPrincipalConfig({ server: config, http, principal, terms, allotments })
    const ownLogger = logger.child({ principal })
    const isLeftOut = terms.kind === 'call' && terms.mayHaveWallet && config.signer && http.principalWallet === 'shared'
    if (isLeftOut && !own.signer)
      ownLogger.warn({}, 'nothing of the shared wallet is left for this principal: it reads only')
    const app = createMcpApp(own, ownLogger)
    const { createServer } = app
    const endpoint = createMcpEndpoint({ createServer, logger, maxBodyBytes, maxSessions, maxSubscriptions })
    app.onResourceChange((uri) => endpoint.notify.resourceUpdated(uri))
    app.onEffect((effect) => audit.write(toAuditEntry(principal, effect)))
    return {
      handle: (request, response, isAllowed) => endpoint.handle(request, response, isAllowed),
      hasEffect: app.hasEffect,
      isBusy: app.isBusy,
      async close() {
        await endpoint.close()
        await app.close()
      },
    }
  }

  /** Ends the streams of callers whose token has ended or was revoked since they were opened. */
  function endInvalid(): void {
    for (const [response, caller] of open) if (!isStillValid(caller)) response.destroy()
  }

  function isStillValid(caller: Caller): boolean {
    try {
      return authenticator.isValid(caller)
    } catch (error) {
      logger.error(failureFacts(error), 'tokens cannot be checked; streams are ended')
      return false
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const waitForAddress = byAddress.take(addressOf(request))
    if (waitForAddress > 0) {
      request.resume()
      return refuseForNow(response, 'Too many requests from this address.', waitForAddress)
    }
    const caller = await gate.admit(request, response)
    if (!caller) return
    const waitForPrincipal = byPrincipal.take(caller.principal)
    if (waitForPrincipal > 0) {
      request.resume()
      return refuseForNow(response, 'Too many requests with this token.', waitForPrincipal)
    }
    // Before anything is opened for it: folders and places are few, and an issuer may know many who have no business here.
    if (!isPermitted(caller, 'lilypad:read', response)) {
      request.resume()
      return
    }
    open.set(response, caller)
    response.once('close', () => open.delete(response))
    try {
      await apps.use({ ...caller, takesShare: takesShare(caller, { http, allotments }) }, async (app) => {
        const isDone = new Promise<void>((resolve) => response.once('close', resolve))
        await app.handle(request, response, (body) => isAllowed(caller, body, response, app))
        // A stream goes on after it was opened; until it ends, its app is in use.
        if (!response.closed) await isDone
      })
    } catch (error) {
      if (!LilypadError.is(error) || error.code !== 'RATE_LIMITED' || response.headersSent) throw error
      request.resume()
      refuseForNow(response, error.shortMessage, 1)
    }
  }

  function isAllowed(caller: Caller, body: unknown, response: ServerResponse, app: PrincipalEndpoint): boolean {
    // Several messages in one request cost as much as several requests.
    const wait = Array.isArray(body) && body.length > 1 ? byPrincipal.take(caller.principal, body.length - 1) : 0
    if (wait > 0) {
      refuseForNow(response, 'Too many messages with this token.', wait)
      return false
    }
    return isPermitted(caller, requiredScope(body, app.hasEffect), response)
  }

  function isPermitted(caller: Caller, scope: Scope, response: ServerResponse): boolean {
    if (gate.permit(caller, scope, response)) return true
    audit.write({ event: 'refused', principal: caller.principal, code: 'INSUFFICIENT_SCOPE' })
    return false
  }

  apps.resume().catch((error: unknown) => logger.error(failureFacts(error), 'open jobs could not be taken up'))
  return {
    handle,
    handleOther: (request, response) => gate.serveMetadata(request, response),
    async close() {
      clearInterval(timer)
      await apps.close()
      allotments.close()
    },
  }
}

/** Loads what checks the tokens: of the two ways only the one that is used. */
async function createAuthenticator(auth: HttpAuth, resource: () => string, logger: Logger): Promise<Authenticator> {
  if (auth.kind === 'oauth') {
    const { createIssuerKeys } = await import('../auth/issuer-keys.ts')
    const { createOAuthAuthenticator } = await import('../auth/oauth-authenticator.ts')
    return createOAuthAuthenticator({ issuer: auth.issuer, resource, keys: createIssuerKeys(auth) })
  }
  if (auth.kind === 'none') throw new TypeError('callers without a token are served by serveAnyone')
  const { createTokenAuthenticator } = await import('../auth/token-authenticator.ts')
  const { readTokenFile } = await import('../auth/token-file.ts')
  if (readTokenFile(auth.file).length === 0)
    logger.warn({ file: auth.file }, 'there are no tokens yet: add one with `lilypad-mcp token add <name>`')
  return createTokenAuthenticator(auth.file)
}
