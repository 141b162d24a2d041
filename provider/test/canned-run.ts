/** What every run of the test module writes. */
export const cannedOutputs = { 'result.txt': 'ribbit', 'copy.txt': 'ribbit', 'folder/other.txt': 'croak' } as const
