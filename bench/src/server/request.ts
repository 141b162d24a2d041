import { defineBench } from '../bench/define-bench.ts'
import { measureServer } from './measure-server.ts'

export const serverRequest = defineBench({
  name: 'server.request',
  unit: 'ms',
  summary: 'added to a request of a running model server by the executor, against asking the server itself',
  goal: { of: 'ours', atMost: 1 },
  run: (context) => measureServer(false, context),
})
