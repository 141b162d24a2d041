import { execFile } from 'node:child_process'

/** What came of a vendor's tool. `absent` is the usual case: the machine has no cards of that vendor. */
export type ToolResult =
  | { readonly kind: 'answered'; readonly stdout: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'failed'; readonly reason: string; readonly output: string }

export type RunTool = (command: string, args: readonly string[]) => Promise<ToolResult>

/** Where drivers put their tools: the system's own folders, ROCm's, and those of Windows' Linux. */
const toolPath =
  '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/rocm/bin:/usr/lib/wsl/lib:/run/current-system/sw/bin'

const maxOutputBytes = 4 * 1024 ** 2

/** Runs tools of drivers with nothing of this process's environment, which holds the names of keys, and for a limited time. */
export function createToolRunner({
  path = toolPath,
  timeoutMilliseconds = 10_000,
}: {
  /** Folders to look for tools in. @default the usual ones */
  readonly path?: string
  readonly timeoutMilliseconds?: number
} = {}): RunTool {
  return (command, args) =>
    new Promise((resolve) => {
      execFile(
        command,
        [...args],
        {
          cwd: '/',
          env: { PATH: path, LC_ALL: 'C' },
          timeout: timeoutMilliseconds,
          killSignal: 'SIGKILL',
          maxBuffer: maxOutputBytes,
          windowsHide: true,
        },
        (error, stdout, stderr) => {
          if (error === null) resolve({ kind: 'answered', stdout })
          else if (error.code === 'ENOENT') resolve({ kind: 'absent' })
          else resolve({ kind: 'failed', reason: failureReason(error), output: `${stdout}\n${stderr}` })
        },
      ).stdin?.end()
    })
}

function failureReason(error: { readonly code?: unknown; readonly killed?: boolean }): string {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'it wrote too much'
  if (error.killed === true) return 'it did not answer in time'
  return typeof error.code === 'number' ? `it ended with ${error.code}` : 'it could not be started'
}
