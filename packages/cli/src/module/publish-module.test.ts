import { expect, test } from 'vitest'
import { recipeFailure } from './publish-module.ts'

const uncaught = (message: string, rest: string) => `node:internal/errors:984
  const err = new Error(message);
              ^

${message}
    at genericNodeError (node:internal/errors:984:15)
    at buildModule (file:///m/build.mjs:20:3) {
${rest}
}

Node.js v24.21.0
`

test.each([
  [
    'what a program says',
    'hello.wat:3:3: error: unexpected token (\n  (import\n  ^\n',
    ['hello.wat:3:3: error: unexpected token (', '  (import', '  ^'],
  ],
  [
    'a command that failed, after what it said',
    `pull access denied for node\n\n${uncaught('Error: Command failed: docker build', '  status: 1,\n  stderr: null')}`,
    ['pull access denied for node', 'Error: Command failed: docker build'],
  ],
  [
    'an error with a cause',
    uncaught('TypeError: fetch failed', '  [cause]: Error: getaddrinfo ENOTFOUND files.example\n      at x'),
    ['TypeError: fetch failed ([cause]: Error: getaddrinfo ENOTFOUND files.example)'],
  ],
])('the last line of a failed recipe is the reason: %s', (_name, stderr, lines) => {
  expect(recipeFailure(stderr)).toEqual(lines)
})
