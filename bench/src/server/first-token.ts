import { defineBench } from '../bench/define-bench.ts'
import { measureServer } from './measure-server.ts'

export const serverFirstToken = defineBench({
  name: 'server.firstToken',
  unit: 'ms',
  summary: 'added to the first bytes of a streamed reply by the executor, against asking the server itself',
  goal: { of: 'ours', atMost: 2 },
  run: (context) => measureServer(true, context),
})
