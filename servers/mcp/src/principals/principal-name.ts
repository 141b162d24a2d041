import { z } from 'zod'

/** A name that is also the name of a folder. */
export const PrincipalName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected a name of small letters, digits and dashes')
