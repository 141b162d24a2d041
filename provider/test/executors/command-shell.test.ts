import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CommandShell } from '../../src/executors/docker/command-shell.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-shell-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

test('words reach the command as they are', async () => {
  const shell = new CommandShell()
  const names = [`it's`, '$(touch x)', 'a b', '"; touch y; "', 'grüße\n', '`id`', '\\']
  await Promise.all(names.map((name) => shell.run('mkdir', [join(folder, name)])))
  expect((await readdir(folder)).sort()).toEqual([...names].sort())
})

test('answers belong to their commands, and a shell that is gone is replaced', async () => {
  const shell = new CommandShell()
  const answers = await Promise.allSettled([
    shell.run('true', []),
    shell.run('false', []),
    shell.run('sh', ['-c', 'cat; echo 0; exit 7']),
    shell.run('sh', ['-c', 'kill -9 $PPID']),
    shell.run('true', []),
  ])
  expect(answers.map((answer) => (answer.status === 'rejected' ? answer.reason.message : 'done'))).toEqual([
    'done',
    'false ended with exit code 1',
    'sh ended with exit code 7',
    'sh was not finished',
    'true was not finished',
  ])
  await shell.run('true', [])
})
