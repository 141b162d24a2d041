const opening = '<tool_call>'
const closing = '</tool_call>'

/** What a model is told about the tools: the form that models with a template for tools were trained on. */
export function describeTools(tools) {
  const lines = tools.map((tool) => JSON.stringify({ type: 'function', function: tool }))
  return [
    'You can call functions. They are, one a line, as JSON:',
    ...lines,
    `To call one, answer with nothing but ${opening}{"name": "…", "arguments": {…}}${closing}`,
  ].join('\n')
}

/** Schema of the call of one of these tools, for a grammar. */
export function toolCallSchema(tools) {
  const calls = tools.map(({ name, parameters }) => ({
    type: 'object',
    properties: { name: { const: name }, arguments: parameters },
  }))
  return calls.length === 1 ? calls[0] : { oneOf: calls }
}

/** The calls in a reply, or undefined when it is text. Their ids begin with `id`. */
export function parseToolCalls(text, tools, id) {
  const pieces = text.includes(opening) ? text.split(opening).slice(1) : [text]
  const calls = pieces.map((piece, index) => parseCall(piece.split(closing, 1)[0], tools, `${id}_${index}`))
  return calls.length > 0 && calls.every((call) => call !== undefined) ? calls : undefined
}

function parseCall(text, tools, id) {
  try {
    const { name, arguments: values } = JSON.parse(text)
    if (!tools.some((tool) => tool.name === name) || typeof values !== 'object' || values === null) return undefined
    return { id, type: 'function', function: { name, arguments: JSON.stringify(values) } }
  } catch {
    return undefined
  }
}

/** A call of an earlier reply, as the model wrote it. */
export const formatToolCall = ({ function: { name, arguments: values } = {} }) =>
  `${opening}{"name": ${JSON.stringify(name)}, "arguments": ${values}}${closing}`
