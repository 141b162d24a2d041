import type { JobInputs } from './inputs.ts'
import { listInputFiles } from './inputs.ts'
import type { UnitSource } from './module-manifest.ts'

/**
 * Input units of a job, recomputed by every party from the inputs alone: Unicode characters or bytes. Undefined where
 * only the reply of a model server tells them; `unitBounds` then says how many there can be.
 */
export function inputUnits(source: UnitSource, inputs: JobInputs): number | undefined {
  switch (source.kind) {
    case 'none':
      return 0
    case 'string-length': {
      const value = inputs[source.property]
      return typeof value === 'string' ? [...value].length : 0
    }
    case 'file-bytes':
      return listInputFiles(inputs).find(({ input }) => input === source.property)?.file.bytes ?? 0
    case 'server-usage':
      return undefined
  }
}
