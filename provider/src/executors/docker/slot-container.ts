import type { Outcome } from '../executor.ts'
import type { JobPlace } from './job-place.ts'
import type { createOutputVolume } from './output-volume.ts'

/** How the program of a slot ended, as its first process says. */
export type SlotEnd =
  | { readonly kind: 'exited'; readonly code: number }
  /** The command is not in the image or cannot be executed. */
  | { readonly kind: 'not-found' }
  /** Nothing of the job has run: it may run elsewhere. */
  | { readonly kind: 'not-started' }
  /** Killed, or broken: only the container knows more. */
  | { readonly kind: 'unknown' }

/** The container of a slot, whoever started it. */
export type SlotContainer = {
  /** Ends everything in it at once. That it has ended already is fine. */
  kill(): void
  /** Waits until nothing of it runs, and tells its exit code. */
  ended(end: SlotEnd): Promise<number>
  /** Says what a program came to that ended with this code and that nobody on our side killed. */
  judge(code: number): Promise<Outcome>
  /** Ends it and takes away everything it had but its place. */
  remove(): Promise<void>
}

/** How the container of a slot comes to be. */
export type SlotLauncher = {
  readonly runtime: string
  /** @default a folder that is made before the container */
  readonly createVolume?: typeof createOutputVolume
  /** The container of a place, before anything is started. */
  readonly container: (place: JobPlace) => LaunchedContainer
}

/** A container that is being started. */
export type LaunchedContainer = SlotContainer & {
  /** Settles when its first process runs or could not be started. */
  start(): Promise<void>
  /** Looks at the container while its first process waits. @throws when no job may run in it */
  check?(): Promise<void>
}
