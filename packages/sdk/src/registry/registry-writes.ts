import { moduleRegistryAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('moduleRegistry', moduleRegistryAbi)

/** Publishes a version of the sender's module; the first version of a name takes the name. */
export const publishVersion = write('publishVersion', 'VersionPublished')

/** The same with the author's signature; anyone may send it. */
export const publishVersionFor = write('publishVersionFor', 'VersionPublished')

/** Marks a version as not recommended; it stays payable and is never deleted. */
export const deprecateVersion = write('deprecateVersion', 'VersionDeprecated')

/** Offers a module to another owner. */
export const offerModule = write('offerModule', 'ModuleOffered')

/** Takes over a module that was offered to the sender. */
export const acceptModule = write('acceptModule', 'ModuleTransferred')

/** Takes an offer back. */
export const cancelModuleOffer = write('cancelOffer', 'ModuleOfferCancelled')
