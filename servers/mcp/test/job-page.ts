import { readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'

const html = readFileSync(new URL('../page/job.html', import.meta.url), 'utf8')
const script = /<script>\n([\s\S]*)<\/script>/.exec(html)?.[1] ?? ''
const ids = [...html.matchAll(/ id="([a-z-]+)"/g)].map(([, id]) => String(id))

/** What the page may do to an element. Everything else, such as setting its markup, is an error. */
const settable = new Set([
  'textContent',
  'hidden',
  'value',
  'scrollTop',
  'className',
  'disabled',
  'alt',
  'onload',
  'src',
])

type Message = { readonly method?: string; readonly params?: Record<string, unknown> }

/** The page of a job without a browser: a document that takes texts only, and tells what the page asks its host for. */
export function openJobPage() {
  const texts: string[] = []
  const sources: string[] = []
  const said: Message[] = []
  const createElement = (): object =>
    new Proxy<Record<string, unknown>>(
      { style: {}, scrollHeight: 0 },
      {
        get(target, name) {
          if (name === 'appendChild') return (child: unknown) => child
          if (name === 'replaceChildren' || name === 'addEventListener' || name === 'setAttribute')
            return () => undefined
          if (name === 'getBoundingClientRect') return () => ({ width: 1, height: 1 })
          return target[String(name)]
        },
        set(target, name, value) {
          if (!settable.has(String(name))) throw new TypeError(`the page sets ${String(name)}`)
          if (name === 'textContent') texts.push(String(value))
          if (name === 'src') sources.push(String(value))
          target[String(name)] = value
          return true
        },
      },
    )
  const elements = new Map(ids.map((id) => [id, createElement()]))
  let listener: (event: unknown) => void = () => undefined
  const parent = { postMessage: (message: Message) => said.push(message) }
  runInNewContext(script, {
    document: {
      getElementById: (id: string) => elements.get(id),
      createElement,
      documentElement: createElement(),
    },
    Image: function createImage() {
      return createElement()
    },
    parent,
    addEventListener: (_type: string, listen: typeof listener) => {
      listener = listen
    },
    setTimeout: () => 0,
    clearTimeout: () => undefined,
  })
  return {
    /** The host hands the page the result of a call. */
    show(result: unknown): void {
      const data = { jsonrpc: '2.0', method: 'ui/notifications/tool-result', params: result }
      listener({ source: parent, data })
    },
    texts: () => texts,
    /** Addresses that the page would load. */
    sources: () => sources,
    /** Tools that the page has called. */
    calls: () => said.filter(({ method }) => method === 'tools/call').map(({ params }) => ({ name: params?.name })),
  }
}
