import { Tiktoken } from 'js-tiktoken/lite'
import cl100k from 'js-tiktoken/ranks/cl100k_base'

const encoder = new Tiktoken(cl100k)

/** Tokens of a value's JSON, as cl100k counts them. */
export const countTokens = (value: unknown): number => encoder.encode(JSON.stringify(value), [], []).length
