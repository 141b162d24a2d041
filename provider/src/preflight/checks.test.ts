import { describe, expect, test } from 'vitest'
import { attackRunNames } from './attack-runs.ts'
import { checks, evaluateChecks, rowsNotRun } from './checks.ts'
import { type Observations, parseProbes, type Probe, type RunObservation } from './observation.ts'

const probe = (name: string, errno: number, count?: number): Probe => ({
  probe: name,
  result: 'denied',
  errno,
  ...(count === undefined ? {} : { count }),
})
const allowed = (name: string, count?: number): Probe => ({ ...probe(name, 0, count), result: 'allowed' })

const run = (kind: RunObservation['outcome']['kind'], probes: readonly Probe[] = []): RunObservation => ({
  outcome: { kind, code: 0, reason: '', path: '' } as RunObservation['outcome'],
  probes: new Map(probes.map((probe) => [probe.probe, probe])),
  outputs: [],
  logBytes: 65_536,
  milliseconds: 2100,
})

// Errors other than "not permitted" with which a sandbox that holds answers.
const answers: readonly (readonly [pattern: RegExp, errno: number])[] = [
  [/^(write|input|root-(mkdir|unlink|chmod))/, 30],
  [/^(read|open|connect):/, 2],
  [/^run:/, 13],
  [/^connect-(loopback|abstract)/, 111],
  [/^connect-/, 101],
  [/^interfaces/, 19],
  [/^other-processes/, 3],
  [/^inherited-descriptor/, 9],
  [/^fork/, 11],
  [/^(scratch|output)-/, 28],
]
/** Asks the checks themselves which probes they read, and gives each the answer of a sandbox that holds. */
class Answering extends Map<string, Probe> {
  readonly asked = new Set<string>()
  override get(name: string): Probe | undefined {
    this.asked.add(name)
    return super.get(name) ?? probe(name, answers.find(([pattern]) => pattern.test(name))?.[1] ?? 1, 1)
  }
}
const answering = (...extra: readonly Probe[]) => new Answering(extra.map((probe) => [probe.probe, probe]))

function tight(changes: Partial<Observations> = {}, runs: Observations['runs'] = {}): Observations {
  return {
    runs: {
      probes: { ...run('exited'), probes: answering(allowed('environment:PATH'), allowed('environment:TZ')) },
      hang: run('timed-out', [allowed('processor', 120)]),
      memory: run('out-of-memory'),
      log: run('log-limit'),
      outputs: { ...run('output-limit'), probes: answering() },
      tricks: run('refused-output'),
      modes: {
        ...run('exited'),
        outputs: [
          { path: 'honest', mode: 0o644 },
          { path: 'x', mode: 0o644 },
        ],
      },
      ...runs,
    },
    facts: { runtime: 'runc', runtimeVersion: '1.3.3', cgroup: '2' },
    securityOptions: ['name=seccomp,profile=default', 'name=userns'],
    connections: 0,
    isInputIntact: true,
    isUnknownImageRefused: true,
    ...changes,
  }
}
const withProbe = (...probes: readonly Probe[]) =>
  tight({}, { probes: { ...run('exited'), probes: answering(allowed('environment:PATH'), ...probes) } })
const resultOf = (observed: Observations, id: string) => evaluateChecks(observed).find((check) => check.id === id)

describe('checks', () => {
  test('a sandbox that holds passes every one', () => {
    expect(evaluateChecks(tight()).filter(({ result }) => result !== 'contained')).toEqual([])
  })

  test('every row of the table is covered or said not to be', () => {
    const rows = [...checks.map(({ row }) => row), ...rowsNotRun.map(({ row }) => row)]
    expect([...new Set(rows)].sort((a, b) => a - b)).toEqual(Array.from({ length: 26 }, (_, index) => index + 1))
    expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length)
  })

  test.each<[id: string, observed: Observations, found: string]>([
    ['capabilities', withProbe(allowed('mknod-block')), 'mknod-block was allowed'],
    ['user', withProbe(allowed('setuid-root')), 'setuid-root was allowed'],
    ['no-new-privileges', withProbe(allowed('setuid-program')), 'setuid-program was allowed'],
    ['no-new-privileges', withProbe(probe('setuid-program', 2)), 'setuid-program gave error 2'],
    ['system-calls', withProbe(allowed('ptrace')), 'ptrace was allowed'],
    ['system-calls', withProbe(probe('bpf', 22)), 'bpf gave error 22'],
    ['sockets', withProbe(allowed('socket-netlink')), 'socket-netlink was allowed'],
    ['root-file-system', withProbe(allowed('write:/pwn')), 'write:/pwn was allowed'],
    ['inputs', withProbe(allowed('write:/in/data')), 'write:/in/data was allowed'],
    ['inputs', tight({ isInputIntact: false }), 'the input file was changed'],
    ['scratch', withProbe(allowed('scratch-bytes', 1)), 'scratch-bytes was allowed'],
    ['scratch', withProbe(probe('scratch-bytes', 28, 64 * 1024 ** 2)), 'scratch-bytes came to 67108864, past 1114112'],
    ['scratch', withProbe(probe('scratch-files', 28, 5000)), 'scratch-files came to 5000, past 4096'],
    ['scratch', withProbe(allowed('run:/tmp/copy')), 'run:/tmp/copy was allowed'],
    ['memory', tight({}, { memory: run('exited') }), 'the run ended as exited'],
    ['memory', tight({}, { memory: run('exited', [allowed('memory')]) }), 'all memory asked for was there'],
    ['processes', withProbe(probe('fork', 11, 3000)), 'fork came to 3000, past 24'],
    ['processes', withProbe(allowed('fork', 4096)), 'fork was allowed'],
    ['processor', tight({}, { hang: run('timed-out', [allowed('processor', 900)]) }), 'used 900 ms in 500 ms'],
    ['network', withProbe(allowed('interfaces', 1)), 'interfaces was allowed'],
    ['network', withProbe(probe('connect-metadata', 110)), 'connect-metadata gave error 110'],
    ['network', withProbe(probe('connect-host:a', 111)), 'connect-host:a gave error 111'],
    ['network', withProbe(allowed('connect-abstract')), 'connect-abstract was allowed'],
    ['network', tight({ connections: 1 }), 'a program reached this machine'],
    ['outputs', tight({}, { outputs: { ...run('exited'), probes: answering() } }), 'the run ended as exited'],
    [
      'outputs',
      tight({}, { outputs: { ...run('output-limit'), outputs: [{ path: 'x', mode: 0o644 }] } }),
      'outputs were kept beyond the limit',
    ],
    ['output-file-system', withProbe(allowed('run:/out/copy')), 'run:/out/copy was allowed'],
    ['output-collection', tight({}, { tricks: run('exited') }), 'the run ended as exited'],
    [
      'output-collection',
      tight({}, { tricks: { ...run('refused-output'), outputs: [{ path: 'x', mode: 0o644 }] } }),
      'outputs of a refused tree were kept',
    ],
    ['output-modes', tight({}, { modes: run('trapped') }), 'the run ended as trapped'],
    [
      'output-modes',
      tight(
        {},
        {
          modes: {
            ...run('exited'),
            outputs: [
              { path: 'honest', mode: 0o644 },
              { path: 'x', mode: 0o4755 },
            ],
          },
        },
      ),
      'an output kept its permissions',
    ],
    ['logs', tight({}, { log: run('exited') }), 'the run ended as exited'],
    ['logs', tight({}, { log: { ...run('log-limit'), logBytes: 65_537 } }), 'more log was kept than the limit'],
    ['timeout', tight({}, { hang: run('exited', [allowed('processor', 1)]) }), 'the run ended as exited'],
    ['timeout', tight({}, { hang: { ...run('timed-out'), milliseconds: 9000 } }), 'stopped after 9000 ms'],
    ['shared-memory', withProbe(allowed('write:/dev/shm/pwn')), 'write:/dev/shm/pwn was allowed'],
    ['message-queues', withProbe(allowed('write:/dev/mqueue/pwn')), 'write:/dev/mqueue/pwn was allowed'],
    ['environment', withProbe(allowed('environment:HTTP_PROXY')), 'also has HTTP_PROXY'],
    ['kernel', withProbe(allowed('read:/proc/kcore')), 'read:/proc/kcore was allowed'],
    ['control-groups', withProbe(allowed('write:/sys/fs/cgroup/pwn')), 'write:/sys/fs/cgroup/pwn was allowed'],
    ['devices', withProbe(allowed('open:/dev/kvm')), 'open:/dev/kvm was allowed'],
    ['neighbours', withProbe(allowed('inherited-descriptor', 7)), 'inherited-descriptor was allowed'],
    ['first-process', withProbe(allowed('first:/proc/1/mem')), 'first:/proc/1/mem was allowed'],
    ['image-identity', tight({ isUnknownImageRefused: false }), 'an unknown image was taken'],
    ['user-namespaces', tight({ securityOptions: [] }), 'the engine does not map users'],
    [
      'rootless-limits',
      tight({ securityOptions: ['name=rootless'], facts: { cgroup: '1' } }),
      'the engine ignores limits',
    ],
    ['engine-access', withProbe(allowed('connect:/var/run/docker.sock')), 'connect:/var/run/docker.sock was allowed'],
    ['gpus', withProbe(allowed('open:/dev/nvidia0')), 'open:/dev/nvidia0 was allowed'],
    ['runtime-version', tight({ facts: { runtime: 'runc', runtimeVersion: '1.1.5+ds1' } }), 'runc is 1.1.5'],
    ['runtime-version', tight({ facts: { runtime: 'runc', runtimeVersion: '1.3.2' } }), 'runc is 1.3.2'],
  ])('%s fails when it has to', (id, observed, found) => {
    expect(resultOf(observed, id)).toMatchObject({ id, result: 'failed', found: expect.stringContaining(found) })
  })

  test('none is contained where everything is open', () => {
    const failing = tight(
      { connections: 1, isInputIntact: false, isUnknownImageRefused: false, securityOptions: ['name=rootless'] },
      Object.fromEntries(
        attackRunNames.map((name) => [
          name,
          { ...run('trapped'), probes: new OpenSandbox([['environment:X', allowed('environment:X')]]) },
        ]),
      ),
    )
    const facts = { runtime: 'runc', runtimeVersion: '1.0.0', cgroup: '1' }
    const contained = evaluateChecks({ ...failing, facts }).filter(({ result }) => result === 'contained')
    // A rootless engine maps users, whatever else it lacks.
    expect(contained.map(({ id }) => id)).toEqual(['user-namespaces'])
  })

  test('a program that was killed for memory was contained, whether or not the engine says why', () => {
    const killed = { ...run('exited'), outcome: { kind: 'exited', code: 137 } } as const
    expect(resultOf(tight({}, { memory: killed }), 'memory')?.result).toBe('contained')
  })

  test.each(attackRunNames)('without the run "%s", or without its answers, nothing is taken for contained', (name) => {
    const absent = evaluateChecks({ ...tight(), runs: { ...tight().runs, [name]: undefined } } as Observations)
    const reading = checks.filter(({ needs }) => needs.includes(name)).map(({ id }) => id)
    expect(reading).not.toEqual([])
    expect(absent.filter(({ id }) => reading.includes(id)).map(({ result }) => result)).toEqual(
      reading.map(() => 'not-run'),
    )
    const silent = evaluateChecks(tight({}, { [name]: run('exited') }))
    expect(silent.filter(({ id, result }) => reading.includes(id) && result === 'contained')).toEqual([])
  })
})

/** Answers that everything went through. */
class OpenSandbox extends Map<string, Probe> {
  override get(name: string): Probe | undefined {
    return super.get(name) ?? allowed(name, 1_000_000_000)
  }
}

describe('parseProbes', () => {
  test('takes lines of the attack program and nothing else', () => {
    const lines = [
      '{"probe":"chroot","result":"denied","errno":1}',
      '{"probe":"fork","result":"denied","errno":11,"count":31}',
      '{"probe":"chroot","result":"denied"}',
      '{"probe":"\\u001b[2J","result":"denied","errno":1}',
      '{"probe":"x","result":"denied","errno":1,"more":1}',
      'not JSON',
      '',
    ]
    expect([...parseProbes(lines.join('\n')).values()]).toEqual([probe('chroot', 1), probe('fork', 11, 31)])
  })

  test('what was allowed once stays allowed', () => {
    const twice = '{"probe":"chroot","result":"allowed","errno":0}\n{"probe":"chroot","result":"denied","errno":1}'
    expect(parseProbes(twice).get('chroot')?.result).toBe('allowed')
  })
})
