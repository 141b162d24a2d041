import { z } from 'zod'

/** Most seconds a call waits; clients give up soon after. */
const maxWaitSeconds = 50

/** Seconds a call may wait for a job to end. */
export const waitSeconds = (fallback: number) =>
  z.number().min(0).max(maxWaitSeconds).default(fallback).describe('seconds to wait for the end')
