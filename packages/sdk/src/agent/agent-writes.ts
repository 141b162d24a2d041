import { agentRegistryAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('agentRegistry', agentRegistryAbi)

/** Sets the roles of an agent as a bitmap. */
export const setAgentRoles = write('setRoles', 'AgentRolesSet')

/** Sets where an agent can be reached for one kind of service. */
export const setAgentEndpoint = write('setEndpoint', 'AgentEndpointSet')

/** Issues a credential about a subject. */
export const issueCredential = write('issue', 'CredentialIssued')

/** The same with the issuer's signature; anyone may send it. */
export const issueCredentialFor = write('issueFor', 'CredentialIssued')

/** Revokes a credential of the sender. */
export const revokeCredential = write('revoke', 'CredentialRevoked')

/** The same with the issuer's signature. */
export const revokeCredentialFor = write('revokeFor', 'CredentialRevoked')

/** Lets another account act for the sender inside scopes, until a time. */
export const delegateAuthority = write('delegate', 'AuthorityDelegated')

/** The same with the principal's signature. */
export const delegateAuthorityFor = write('delegateFor', 'AuthorityDelegated')

/** Ends a delegation. */
export const revokeDelegate = write('revokeDelegate', 'AuthorityRevoked')

/** The same with the principal's signature. */
export const revokeDelegateFor = write('revokeDelegateFor', 'AuthorityRevoked')
