import type { JobInputs } from './inputs.ts'
import { listInputFiles } from './inputs.ts'
import type { UnitSource } from './module-manifest.ts'

/** Input units of a job, recomputed by every party from the inputs alone: Unicode characters or bytes. */
export function inputUnits(source: UnitSource, inputs: JobInputs): number {
  switch (source.kind) {
    case 'none':
      return 0
    case 'string-length': {
      const value = inputs[source.property]
      return typeof value === 'string' ? [...value].length : 0
    }
    case 'file-bytes':
      return listInputFiles(inputs).find(({ input }) => input === source.property)?.file.bytes ?? 0
  }
}
