import { type LookupAddress, lookup as lookupName } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { AddressNotAllowedError } from './fetch-errors.ts'
import { isPublicAddress } from './public-address.ts'

/** The resolver of the system. */
export const systemLookup: LookupFunction = (hostname, options, callback) => lookupName(hostname, options, callback)

/**
 * Resolves names of others for a connection that is made to the very address that was checked. Every address that the name stands
 * for has to be public, so one that also stands for a private one is refused whole.
 */
export function publicLookup(lookup: LookupFunction = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0)
      const addresses: readonly LookupAddress[] =
        typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const [first] = addresses
      if (first === undefined || !addresses.every(({ address }) => isPublicAddress(address)))
        return callback(
          new AddressNotAllowedError(`https://${hostname}`, 'its name stands for a private address'),
          '',
          0,
        )
      if (options.all === true) return callback(null, [...addresses])
      callback(null, first.address, first.family)
    })
  }
}
