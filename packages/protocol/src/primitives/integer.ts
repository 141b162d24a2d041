import { z } from 'zod'

/** An integer that is exact in JavaScript and fits uint64: counters, nonces, lanes. */
export const Counter = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

/** Unix time in seconds, up to the year 10000. */
export const UnixSeconds = z.int().min(0).max(253_402_300_800)
