import { identityRegistryAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('identityRegistry', identityRegistryAbi)

/** Registers an agent of the sender (ERC-8004); the profile's address can be set afterwards. */
export const registerAgent = write('register', 'Registered')

/** Sets where the registration file of an agent is. */
export const setAgentUri = write('setAgentURI', 'URIUpdated')

/** Sets one entry of an agent's metadata. */
export const setAgentMetadata = write('setMetadata', 'MetadataSet')

/** Sets the account that an agent is paid at, with that account's signature. */
export const setAgentWallet = write('setAgentWallet', 'MetadataSet')

/** Removes it. */
export const unsetAgentWallet = write('unsetAgentWallet', 'MetadataSet')
