import { defineBench } from '../bench/define-bench.ts'
import { measureGateway } from './measure-gateway.ts'

export const gatewayFirstToken = defineBench({
  name: 'gateway.firstToken',
  unit: 'ms',
  summary:
    'added to the first token of a streamed chat by gateway, solver and provider, against asking the model server itself',
  goal: { of: 'ours', atMost: 2 },
  run: (context) => measureGateway('firstToken', { isStreamed: true }, context),
})
