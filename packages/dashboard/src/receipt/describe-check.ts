import type { Check } from '@lilypad-agents/sdk/verify'

/** What checks are about, in the order in which a reader wants to know it. */
export const checkGroups = [
  'What you saw',
  'Who agreed to it',
  'What ran',
  'What came back',
  'What it cost',
  'Where it ran',
] as const
export type CheckGroup = (typeof checkGroups)[number]

/** A check in words that need no knowledge of the protocol. */
export type DescribedCheck = Check & { readonly group: CheckGroup; readonly sentence: string }

type Text = readonly [group: CheckGroup, sentence: string]

const texts: { readonly [name: string]: Text } = {
  'page.form': ['What you saw', 'The receipt can be read.'],
  'page.network': ['What you saw', 'It belongs to the network and vault of this gateway.'],
  'page.job': ['What you saw', 'It is about the job that this gateway named.'],
  'page.receipt': ['What you saw', 'It is the receipt that came with the reply.'],
  'page.model': ['What you saw', 'The model that was asked is the one that was ordered.'],
  'page.request': ['What you saw', 'The provider was given your messages, word for word.'],
  'page.answer': ['What you saw', 'The text on this page is the text that the provider signed.'],
  'page.tokens': ['What you saw', 'The token counts are those that were signed.'],
  'page.cost': ['What you saw', 'The cost on this page is the price that was signed.'],

  'ask.signature': ['Who agreed to it', 'The provider signed its price list.'],
  'ask.ordered': ['Who agreed to it', 'The order names exactly that price list.'],
  'ask.terms': ['Who agreed to it', 'Price list and order agree on provider, module, token and solver.'],
  'order.signature': ['Who agreed to it', 'The order was signed by the key that it names.'],
  grant: ['Who agreed to it', 'Whoever signed the order may spend the payer’s money.'],
  'grant.signature': ['Who agreed to it', 'The payer signed the permission for that key.'],
  'grant.covers': ['Who agreed to it', 'The permission covers this order.'],
  'reservation.signature': ['Who agreed to it', 'The solver signed that the money was set aside.'],
  'reservation.covers': ['Who agreed to it', 'What was set aside covers the most this job could cost.'],
  'receipt.signature': ['Who agreed to it', 'The provider signed the receipt.'],
  'manifest.signature': ['Who agreed to it', 'The provider signed the record of the run.'],
  'acknowledgement.signature': ['Who agreed to it', 'The customer’s key signed for the delivery.'],

  'module.version': ['What ran', 'The module has not changed since it was published.'],
  'inputs.digest': ['What ran', 'The inputs are those that were ordered.'],
  'manifest.program': ['What ran', 'The program that ran is the one the module names.'],
  'manifest.job': ['What ran', 'The record of the run is about this order.'],
  times: ['What ran', 'It started and ended within the times of the order.'],

  'receipt.order': ['What came back', 'The receipt is for this order.'],
  'receipt.status': ['What came back', 'The job succeeded.'],
  'manifest.digest': ['What came back', 'The receipt commits to the record of the run.'],
  'manifest.outcome': ['What came back', 'The program ended well and left every file it had to.'],
  'outputs.root': ['What came back', 'The receipt commits to every output file.'],
  'outputs.subjects': ['What came back', 'The signed statement lists the same files.'],
  'logs.digest': ['What came back', 'The receipt commits to the log.'],
  stream: ['What came back', 'The stream came as the receipt commits to it.'],

  'manifest.usage': ['What it cost', 'Record and receipt count the same use.'],
  'price.units': ['What it cost', 'The input units, counted again, are those billed.'],
  'price.output-units': ['What it cost', 'The output units, counted again, are those billed.'],
  'price.meter': ['What it cost', 'The price is the count times the price list.'],
  'price.maximum': ['What it cost', 'The price is not above the maximum of the order.'],
  'acknowledgement.lane': ['What it cost', 'The payment is for this customer and provider.'],
  'acknowledgement.record': ['What it cost', 'The payment includes this job.'],

  attestation: ['Where it ran', 'What the provider says of its sandbox holds, where it says anything.'],
}

/** Says a check in plain words. One this page does not know keeps its name. */
export function describeCheck(check: Check): DescribedCheck {
  const [group, sentence] = findText(check.name)
  return { ...check, group, sentence }
}

function findText(name: string): Text {
  const text = texts[name]
  if (text) return text
  if (name.startsWith('output '))
    return ['What came back', `The bytes of ${name.slice('output '.length)} are those that were signed.`]
  return ['What came back', `${name}.`]
}

/** The checks of each group that has any. */
export function groupChecks(
  checks: readonly DescribedCheck[],
): readonly { readonly group: CheckGroup; readonly checks: readonly DescribedCheck[] }[] {
  return checkGroups
    .map((group) => ({ group, checks: checks.filter((check) => check.group === group) }))
    .filter((each) => each.checks.length > 0)
}
