import { createElement } from 'react'
import { renderToStaticMarkup } from 'react-dom/server'
import { expect, test } from 'vitest'
import { ReplyText } from './reply-text.tsx'

const html = (text: string) => renderToStaticMarkup(createElement(ReplyText, { text }))

test.each([
  ['markup', '<img src=x onerror=alert(1)><script>alert(1)</script>'],
  ['a picture of elsewhere', '![look](https://elsewhere.example/pixel.png)'],
  ['a link that is a script', '[click](javascript:alert(1))'],
  ['a link that is data', '[click](data:text/html,<script>alert(1)</script>)'],
])('%s from a model does nothing', (_name, text) => {
  expect(html(text)).not.toMatch(/<img|<script|href="(?:javascript|data)/)
})

test('lists, emphasis and code are shown as such', () => {
  expect(html('- **a**\n- `b`')).toContain('<li><strong>a</strong></li>')
  expect(html('- **a**\n- `b`')).toContain('<code>b</code>')
})
