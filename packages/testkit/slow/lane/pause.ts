/** Waits. */
export const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

/** Calls until it gives something, or undefined when the time is over. What it throws meanwhile counts as nothing. */
export async function until<T>(
  call: () => Promise<T | undefined>,
  seconds: number,
  everyMilliseconds = 100,
): Promise<T | undefined> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const value = await call().catch(() => undefined)
    if (value !== undefined || Date.now() > end) return value
    await pause(everyMilliseconds)
  }
}
