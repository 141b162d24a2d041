import { defineBench } from '../bench/define-bench.ts'
import { measureGateway } from './measure-gateway.ts'

export const gatewayRequest = defineBench({
  name: 'gateway.request',
  unit: 'ms',
  summary:
    'added to a chat request, verified and paid, by gateway, solver and provider, against asking the model server itself',
  goal: { of: 'ours', atMost: 2 },
  run: (context) => measureGateway('whole', { isStreamed: false }, context),
})
