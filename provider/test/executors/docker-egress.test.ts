import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { publicLookup } from '@lilypad-agents/blobs'
import type { ModuleRuntime } from '@lilypad-agents/protocol'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { buildBusyboxImage, findDockerProblem } from '../../fixtures/busybox-image.ts'
import type { EgressSettings } from '../../src/egress/egress-policy.ts'
import { DockerExecutor } from '../../src/executors/docker/docker-executor.ts'
import { CopyingExecutor, findCopyProblem, slotKinds } from './slot-kinds.ts'

const problem = await findDockerProblem()
const copyProblem = problem ?? (await findCopyProblem())
const kinds = slotKinds.filter((kind) => kind === 'engine' || copyProblem === undefined)

describe.skipIf(problem !== undefined).each(kinds)(
  `a container job in a slot (%s) that talks to declared hosts${problem ? ` (${problem})` : ''}`,
  (kind) => {
    const Executor = kind === 'copied' ? CopyingExecutor : DockerExecutor
    const uncopied: string[] = []
    let folder: string
    let digest: string
    let upstream: Server
    let port: number
    let asked: string[]
    let runs = 0
    const executors: DockerExecutor[] = []

    const toLoopback: LookupFunction = (_name, options, callback) =>
      options.all === true ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4)

    beforeAll(async () => {
      // A long name: sockets have short ones.
      folder = await mkdtemp(join(tmpdir(), `lilypad-egress-${'x'.repeat(60)}-`))
      digest = await buildBusyboxImage()
      upstream = createServer((request, response) => {
        asked.push(request.url ?? '')
        response.end('from outside\n')
      }).listen(0, '127.0.0.1')
      await once(upstream, 'listening')
      port = (upstream.address() as AddressInfo).port
      asked = []
    })
    afterEach(() => {
      asked = []
    })
    afterAll(async () => {
      await Promise.all(executors.map((executor) => executor.close()))
      upstream.close()
      expect(uncopied).toEqual([])
      await rm(folder, { recursive: true, force: true })
    })

    function open(egress: Partial<EgressSettings> = {}): DockerExecutor {
      const executor = new Executor({
        ...{ stateDirectory: join(folder, 'state'), nodeId: 'egress', copySlots: kind === 'copied' },
        onUncopied: (reason) => uncopied.push(reason),
        warmSlots: 1,
        egress: { policy: 'declared', lookup: toLoopback, ...egress },
      })
      executors.push(executor)
      return executor
    }
    const host = () => `api.example.org:${port}`
    async function run(executor: DockerExecutor, script: string, hosts: readonly string[] = [host()]) {
      const outputDirectory = join(folder, `run-${++runs}`)
      await mkdir(outputDirectory)
      const runtime: ModuleRuntime = {
        kind: 'container',
        image: { digest, reference: 'busybox' },
        args: [],
        stdin: 'none',
        env: {},
      }
      const execution = await executor.run({
        id: '0x01',
        runtime,
        args: ['/bin/sh', '-c', script],
        env: {},
        inputs: [],
        limits: { ...suiteLimits, timeoutSeconds: 20 },
        ...(hosts.length === 0 ? {} : { network: { hosts: [...hosts] } }),
        outputDirectory,
      })
      return { ...execution, said: await readFile(execution.stdoutPath, 'utf8') }
    }

    test('reaches its host through the proxy, and its manifest says what went through', async () => {
      const { outcome, said, isolation } = await run(open(), `wget -q -O - http://${host()}/a && echo done`)
      expect([outcome, said]).toEqual([{ kind: 'exited', code: 0 }, 'from outside\ndone\n'])
      expect(asked).toEqual(['/a'])
      expect(isolation).toMatchObject({
        start: 'slot',
        network: 'declared hosts, by proxy',
        egressHosts: host(),
        egressConnections: 1,
        egressRefused: 0,
      })
    })

    test('a slot that waits for it serves it as well, and the next job has a proxy of its own', async () => {
      const executor = open()
      const runtime: ModuleRuntime = {
        kind: 'container',
        image: { digest, reference: 'busybox' },
        args: [],
        stdin: 'none',
        env: {},
      }
      await executor.prepare(runtime, undefined, { limits: suiteLimits, network: { hosts: [host()] } })
      for (const path of ['b', 'c']) {
        const { said, isolation } = await run(executor, `wget -q -O - http://${host()}/${path}`)
        expect([said, isolation.egressConnections]).toEqual(['from outside\n', 1])
      }
      expect(asked).toEqual(['/b', '/c'])
    })

    test('many connections, at once and one after the other', async () => {
      const script = `for i in $(seq 40); do wget -q -O - http://${host()}/$i; done | wc -l
      for i in 1 2 3 4 5 6; do (wget -q -O /tmp/$i http://${host()}/at-once-$i) & done; wait; cat /tmp/[1-6] | wc -l`
      const { said, isolation } = await run(open(), script)
      expect([said.split(/\s+/), isolation.egressConnections]).toEqual([['40', '6', ''], 46])
    })

    test.each<[string, () => string, string]>([
      [
        'an address of this machine past the proxy',
        () => `env -u http_proxy wget -q -O - http://127.0.0.1:${port}/`,
        'Connection refused',
      ],
      [
        'the metadata of a cloud past the proxy',
        () => 'env -u http_proxy wget -q -O - http://169.254.169.254/',
        'unreachable',
      ],
      ['an address through the proxy', () => `wget -q -O - http://10.0.0.1:${port}/`, '403'],
      ['another host through the proxy', () => `wget -q -O - http://evil.example.org:${port}/`, '403'],
      ['another port through the proxy', () => 'wget -q -O - http://api.example.org:81/', '403'],
      [
        'the metadata of a cloud by a tunnel',
        () =>
          `printf 'CONNECT 169.254.169.254:80 HTTP/1.1\\r\\nHost: 169.254.169.254\\r\\n\\r\\n' | nc -w 3 127.0.0.1 3128 >&2`,
        '403',
      ],
      [
        'another host by the header of a request for a declared one',
        () =>
          `printf 'GET http://${host()}/ HTTP/1.1\\r\\nHost: evil.example.org\\r\\n\\r\\n' | nc -w 3 127.0.0.1 3128 >&2`,
        '400',
      ],
    ])('does not reach %s', async (_, attack, refusal) => {
      const { outcome, said, stderrPath, isolation } = await run(open(), `${attack()}; ls /sys/class/net`)
      expect([outcome, said]).toEqual([{ kind: 'exited', code: 0 }, 'lo\n'])
      expect(await readFile(stderrPath, 'utf8')).toContain(refusal)
      expect([isolation.egressConnections, isolation.egressRefused]).toEqual([0, /^\d/.test(refusal) ? 1 : 0])
      expect(asked).toEqual([])
    })

    test('does not reach a declared name that stands for this machine', async () => {
      const { said, isolation } = await run(
        open({ lookup: publicLookup(toLoopback) }),
        `wget -q -O - http://${host()}/ && echo through; echo end`,
      )
      expect([said, isolation.egressConnections, isolation.egressRefused, asked]).toEqual(['end\n', 1, 1, []])
    })

    test('that floods the way out with connections it leaves open is bounded, and ends', async () => {
      const script = `for i in $(seq 50); do (sleep 2 | nc 127.0.0.1 3128 &) 2>/dev/null; done; sleep 1; echo end`
      const { outcome, said } = await run(open({ connectSeconds: 1 }), script)
      expect([outcome.kind, said]).toEqual(['exited', 'end\n'])
    })

    test('that kills the process which carries its connections loses them, and nothing else', async () => {
      const script = `kill -9 $(ps -o pid,args | grep /.lp/ini[t] | sed 's/^ *//' | cut -d' ' -f1 | grep -v '^1$'); wget -q -O - http://${host()}/; echo end`
      const { outcome, said } = await run(open(), script)
      expect([outcome, said]).toEqual([{ kind: 'exited', code: 0 }, 'end\n'])
      expect(asked).toEqual([])
    })

    test('has no process less of its own than one that talks to nobody', async () => {
      const script = "sh -c 'while :; do sleep 3 & echo x; done' 2>/dev/null | wc -l"
      const executor = open()
      const [networked, alone] = [await run(executor, script), await run(executor, script, [])]
      expect([alone.isolation.network, alone.isolation.egressConnections]).toEqual(['none', undefined])
      expect(networked.said).toBe(alone.said)
      expect(Number(alone.said)).toBeGreaterThan(1)
    })

    test.each<[string, Partial<EgressSettings> | undefined, RegExp]>([
      ['lets no job out', { policy: 'none' }, /this provider lets no job out/],
      ['allows other hosts', { hosts: ['other.example.org:443'] }, /which this provider does not allow/],
      ['says nothing of it', undefined, /this provider lets no job out/],
    ])('is not run where the operator %s', async (_, settings, reason) => {
      const executor =
        settings === undefined
          ? new DockerExecutor({ stateDirectory: join(folder, 'state'), nodeId: 'egress' })
          : open(settings)
      executors.push(executor)
      await expect(run(executor, 'true')).rejects.toMatchObject({
        code: 'EXECUTOR_UNAVAILABLE',
        retryable: false,
        details: [expect.stringMatching(reason)],
      })
    })

    test('is not run where no slot comes up', async () => {
      const executor = new DockerExecutor({
        stateDirectory: join(folder, 'state'),
        nodeId: 'egress',
        warmSlots: 0,
        egress: { policy: 'declared' },
      })
      executors.push(executor)
      await expect(run(executor, 'true')).rejects.toMatchObject({ reason: expect.stringMatching('no slot comes up') })
    })
  },
)
