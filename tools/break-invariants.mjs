#!/usr/bin/env node
// Shows that the invariants can fail: breaks a contract on purpose, one place at a time, and expects one named invariant to notice.
//   node tools/break-invariants.mjs [--suite StakeVault] [--only <part of a name>]
// Works on a copy, of which only what is broken is compiled again. The table it prints is kept in contracts/test/invariant/BREAKS.md.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { foundryBinary } from './foundry.mjs'
import { copyShallowContracts } from './shallow-contracts.mjs'

const { values: options } = parseArgs({
  options: { suite: { type: 'string', default: '' }, only: { type: 'string', default: '' } },
})

const handlerSays = 'invariant_\\w+|afterInvariant'
/**
 * `ids` are those of contracts/test/invariant/README.md; `reason` and `test` say how the invariant fails. The reason is of the invariant
 * alone, so that a break that another one notices first does not count.
 */
const breaks = [
  {
    suite: 'JobVault',
    id: 'conservation',
    name: 'a credit stays when it is withdrawn',
    file: 'JobVault',
    from: '        earnings.credit = 0;\n',
    to: '',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'JobVault',
    id: 'conservation',
    name: 'royalties are paid twice',
    file: 'JobVaultExtension',
    from: '        account.collectedAmount = account.grossAmount;\n',
    to: '',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'JobVault',
    id: 'held',
    name: 'held money that is paid stays held',
    file: 'JobVaultExtension',
    from: '        _held[name.token] -= payment.held;\n',
    to: '',
    test: 'invariant_Conservation',
    reason: /held is what JobClaims remembers/,
  },
  {
    suite: 'JobVault',
    id: 'guardian',
    name: 'nobody asks the guardian',
    file: 'JobVault',
    from: 'require(isApproved || consent >= ANNOUNCED, LaneUnapproved(laneId, guardian));',
    to: '',
    test: handlerSays,
    reason: /a guarded account pays nothing by itself/,
  },
  {
    suite: 'JobVault',
    id: 'lanes',
    name: 'an amount is settled twice',
    file: 'JobVault',
    from: '_storeLane(laneId, state + grown + amount + (jobs << LANE_JOBS));',
    to: '_storeLane(laneId, state + grown + 2 * amount + (jobs << LANE_JOBS));',
    test: 'invariant_LanesFollowTheStore',
    reason: /assertion failed: \d+ != \d+/,
  },
  {
    suite: 'JobVault',
    id: 'nonces',
    name: 'a nonce out of order is not marked',
    file: 'JobVault',
    from: 'words[nonce >> 8] = word | bit;',
    to: 'words[nonce >> 8] = word;',
    test: 'invariant_NoncesFollowTheStore',
    reason: /assertion failed/,
  },
  {
    suite: 'JobVault',
    id: 'counter',
    name: 'the counter counts twice',
    file: 'JobVault',
    from: 'grown += (nextNonce - _bits(state, LANE_NEXT_NONCE, 48)) << LANE_NEXT_NONCE;',
    to: 'grown += 2 * (nextNonce - _bits(state, LANE_NEXT_NONCE, 48)) << LANE_NEXT_NONCE;',
    test: 'invariant_LanesFollowTheStore',
    reason: /assertion failed: \d+ > \d+/,
  },
  {
    suite: 'JobVault',
    id: 'spoiled',
    name: 'a voucher of anyone is taken',
    file: 'JobVault',
    from: 'if (recovered != key || recovered == address(0)) revert LaneSignatureInvalid(laneId, key, recovered);',
    to: '',
    test: handlerSays,
    reason: /a spoiled lane is skipped/,
  },
  {
    suite: 'JobVault',
    id: 'spoiled',
    name: 'a used nonce pays again',
    file: 'JobVault',
    from: 'if (nonce < nextNonce || word & bit != 0) revert LaneNonceUsed(laneId, nonce);',
    to: '',
    test: handlerSays,
    reason: /a spoiled lane is skipped/,
  },
  {
    suite: 'JobVault',
    id: 'payers',
    name: 'half of the amount is debited',
    file: 'JobVault',
    from: 'sstore(account.slot, sub(word, amount))',
    to: 'sstore(account.slot, sub(word, div(amount, 2)))',
    test: 'invariant_AccountsFollowTheStore',
    reason: /assertion failed/,
  },
  {
    suite: 'JobVault',
    id: 'caps',
    name: 'spending does not count towards the total',
    file: 'JobVaultBase',
    from: 'sstore(add(grant.slot, 1), or(use, sub(remaining, amount)))',
    to: 'sstore(add(grant.slot, 1), or(use, remaining))',
    test: 'invariant_SessionKeysStayInsideTheirCaps',
    reason: /assertion failed/,
  },
  {
    suite: 'JobVault',
    id: 'caps',
    name: 'the cap of a job is not checked',
    file: 'JobVaultBase',
    from: 'highestPrice <= _bits(caps, 0, 96),',
    to: 'true,',
    test: handlerSays,
    reason: /settled as the model says/,
  },
  {
    suite: 'StakeVault',
    id: 'conservation',
    name: 'a slash takes less than it hands out',
    file: 'StakeVault',
    from: '        _take(stake, amount);\n        emit StakeSlashed',
    to: '        _take(stake, amount / 2);\n        emit StakeSlashed',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'StakeVault',
    id: 'exposure',
    name: 'exposure is not released',
    file: 'StakeVault',
    from: 'stake.exposure = (held - exposure).toUint96();',
    to: '',
    test: 'invariant_StakesFollowTheStore',
    reason: /exposure: \d+ != \d+/,
  },
  {
    suite: 'StakeVault',
    id: 'cases',
    name: 'a closed case stays open',
    file: 'StakeVault',
    from: 'uint256 cases = --_openCases[role][account];',
    to: 'uint256 cases = _openCases[role][account] - 1;',
    test: 'invariant_StakesFollowTheStore',
    reason: /cases: \d+ != \d+/,
  },
  {
    suite: 'StakeVault',
    id: 'collateral',
    name: 'stake of today counts for yesterday',
    file: 'StakeVault',
    from: '        _accrue(stake);\n        stake.active = active.toUint96();\n        emit StakeDeposited',
    to: '        stake.active = active.toUint96();\n        emit StakeDeposited',
    test: 'invariant_StakesFollowTheStore',
    reason: /collateral: \d+ != \d+/,
  },
  {
    suite: 'StakeVault',
    id: 'unbonding',
    name: 'a slash takes the active part first',
    file: 'StakeVault',
    from: 'uint256 fromUnbonding = FixedPointMathLib.min(amount, stake.unbonding);',
    to: 'uint256 fromUnbonding = FixedPointMathLib.zeroFloorSub(amount, stake.active);',
    test: 'invariant_StakesFollowTheStore',
    reason: /unbonding: \d+ < \d+/,
  },
  {
    suite: 'Mediation',
    id: 'conservation',
    name: 'the bond of an appeal is not returned',
    file: 'Mediation',
    from: '_credit(closed.appellant, closed.token, closed.appealBond - lost);',
    to: '',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'conservation',
    name: 'mediators are paid twice',
    file: 'Mediation',
    from: '_credit(mediators[i], token, amount);',
    to: '_credit(mediators[i], token, 2 * amount);',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'conservation',
    name: 'a slash takes less than it hands out',
    file: 'StakeVault',
    from: '        _take(stake, amount);\n        emit StakeSlashed',
    to: '        _take(stake, amount / 2);\n        emit StakeSlashed',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'cases',
    name: 'a closed case keeps the provider',
    file: 'Mediation',
    from: '_stakeVault.closeCase(StakeRole.Provider, closed.provider);',
    to: '',
    test: 'invariant_CasesKeepStakesAndLetThemGo',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'cases',
    name: 'a replaced mediator stays bound',
    file: 'Jury',
    from: '_stakeVault.closeCase(StakeRole.Mediator, mediator);',
    to: '',
    test: 'invariant_CasesKeepStakesAndLetThemGo',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'seats',
    name: 'who sat before is drawn again',
    file: 'Jury',
    from: 'for (uint256 i = 0; i < parties.length + seats.length; i++) {',
    to: 'for (uint256 i = 0; i < parties.length; i++) {',
    test: 'invariant_NobodySitsTwiceNorAPartySits',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'seats',
    name: 'a party is drawn',
    file: 'Jury',
    from: 'for (uint256 i = 0; i < parties.length + seats.length; i++) {',
    to: 'for (uint256 i = parties.length; i < parties.length + seats.length; i++) {',
    test: 'invariant_NobodySitsTwiceNorAPartySits',
    reason: /assertion failed/,
  },
  {
    suite: 'Mediation',
    id: 'record',
    name: 'a match counts twice',
    file: 'Mediation',
    from: '_records[provider].matches++;',
    to: '_records[provider].matches += 2;',
    test: 'invariant_RecordsCountClosedCases',
    reason: /assertion failed/,
  },
  {
    suite: 'Rewards',
    id: 'conservation',
    name: 'half of what a pool gets arrives',
    file: 'Rewards',
    from: 'lily.safeTransferFrom(msg.sender, address(this), amount);',
    to: 'lily.safeTransferFrom(msg.sender, address(this), amount / 2);',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'Rewards',
    id: 'conservation',
    name: 'a pool that rolls over stays',
    file: 'Rewards',
    from: '        pool.remaining = 0;\n',
    to: '',
    test: 'invariant_Conservation',
    reason: /assertion failed/,
  },
  {
    suite: 'Rewards',
    id: 'values',
    name: 'a checkpoint counts twice',
    file: 'Rewards',
    from: 'uint256 sumValue = _pools[actorClass][epoch].sumValue + value;',
    to: 'uint256 sumValue = _pools[actorClass][epoch].sumValue + 2 * value;',
    test: 'invariant_SumsOfValues',
    reason: /assertion failed/,
  },
  {
    suite: 'Rewards',
    id: 'shares',
    name: 'the last unit of a share stays',
    file: 'Rewards',
    from: 'amount = ValueMath.toShareRoundedDown(pool.remaining, value, pool.sumValue);',
    to: 'amount = FixedPointMathLib.zeroFloorSub(ValueMath.toShareRoundedDown(pool.remaining, value, pool.sumValue), 1);',
    test: 'invariant_SharesSumToThePool',
    reason: /assertion failed/,
  },
  {
    suite: 'Rewards',
    id: 'shares',
    name: 'a share is half of its part',
    file: 'Rewards',
    from: 'amount = ValueMath.toShareRoundedDown(pool.remaining, value, pool.sumValue);',
    to: 'amount = ValueMath.toShareRoundedDown(pool.remaining, value, pool.sumValue) / 2;',
    test: handlerSays,
    reason: /the share is the part of the values/,
  },
  {
    suite: 'Rewards',
    id: 'fees',
    name: 'fees of earlier epochs are measured again',
    file: 'Rewards',
    from: 'fees = totals.fees - last.fees;',
    to: 'fees = totals.fees;',
    test: 'invariant_FeesCountAtMostOnce',
    reason: /assertion failed/,
  },
  {
    suite: 'Rewards',
    id: 'once',
    name: 'a share that was paid is there again',
    file: 'Rewards',
    from: '        delete _values[actorClass][epoch][account];\n',
    to: '',
    test: handlerSays,
    reason: /a share is paid once/,
  },
  {
    suite: 'Rewards',
    id: 'once',
    name: 'a share goes to whoever asks',
    file: 'Rewards',
    from: 'lily.safeTransfer(account, amount);',
    to: 'lily.safeTransfer(msg.sender, amount);',
    test: handlerSays,
    reason: /the share arrives/,
  },
  {
    suite: 'System',
    id: 'conservation',
    name: 'a credit stays when it is withdrawn',
    file: 'JobVault',
    from: '        earnings.credit = 0;\n',
    to: '',
    test: handlerSays,
    reason: /vault: \d+ != \d+/,
  },
  {
    suite: 'System',
    id: 'conservation',
    name: 'a fine is paid twice',
    file: 'StakeVault',
    from: '_credit(payer, token, paid);',
    to: '_credit(payer, token, 2 * paid);',
    test: handlerSays,
    reason: /stakes: \d+ != \d+/,
  },
  {
    suite: 'System',
    id: 'conservation',
    name: 'mediators are paid twice',
    file: 'Mediation',
    from: '_credit(mediators[i], token, amount);',
    to: '_credit(mediators[i], token, 2 * amount);',
    test: handlerSays,
    reason: /court: \d+ != \d+/,
  },
  {
    suite: 'System',
    id: 'conservation',
    name: 'half of what a pool gets arrives',
    file: 'Rewards',
    from: 'lily.safeTransferFrom(msg.sender, address(this), amount);',
    to: 'lily.safeTransferFrom(msg.sender, address(this), amount / 2);',
    test: handlerSays,
    reason: /rewards: \d+ != \d+/,
  },
  {
    suite: 'System',
    id: 'held',
    name: 'a unit of what comes back stays held',
    file: 'JobClaims',
    from: 'amount: moneyHeld.toUint128(),',
    to: 'amount: (moneyHeld - 1).toUint128(),',
    test: handlerSays,
    reason: /held: \d+ != \d+/,
  },
  {
    suite: 'System',
    id: 'held',
    name: 'the stake of a paid job stays bound',
    file: 'JobClaims',
    from: '        _release(release.provider, release.token, release.exposure);\n    }\n',
    to: '    }\n',
    test: handlerSays,
    reason: /exposure: \d+ != \d+/,
  },
  {
    suite: 'System',
    id: 'balances',
    name: 'the event of a return leaves out the amount',
    file: 'JobVaultExtension',
    from: 'emit IJobVault.HeldReturned(laneId, name.payer, name.token, nonce, payerAmount, solverAmount);',
    to: 'emit IJobVault.HeldReturned(laneId, name.payer, name.token, nonce, 0, solverAmount);',
    test: handlerSays,
    reason: /balance: -?\d+ != -?\d+/,
  },
  {
    suite: 'System',
    id: 'caps',
    name: 'the cap of a job does not bind held money',
    file: 'JobVaultExtension',
    from: '_spendGrant(grant, payer, key, token, amount, highestPrice, block.timestamp, isVouched)',
    to: '_spendGrant(grant, payer, key, token, amount, 0, block.timestamp, isVouched)',
    test: handlerSays,
    reason: /not above the cap of a job/,
  },
  {
    suite: 'System',
    id: 'caps',
    name: 'held money does not count towards day and total',
    file: 'JobVaultExtension',
    from: '_spendGrant(grant, payer, key, token, amount, highestPrice, block.timestamp, isVouched)',
    to: '_spendGrant(grant, payer, key, token, 0, highestPrice, block.timestamp, isVouched)',
    test: handlerSays,
    // A grant that should be used up is live still, so that the next one narrows it; or a cap is passed.
    reason: /(day|total) cap: -?\d+ > -?\d+|custom error 0xc44cc962/,
  },
  {
    suite: 'System',
    id: 'limits',
    name: 'a receipt may ask for more than the order allows',
    file: 'JobClaims',
    from: 'if (price > order.maxPrice || price > type(uint96).max ||',
    to: 'if (price > type(uint96).max ||',
    test: handlerSays,
    reason: /not above the order/,
  },
  {
    suite: 'System',
    id: 'orders',
    name: 'the payment of held money is recorded twice',
    file: 'JobVaultExtension',
    from: 'log2(data, 0x80, topic, calldataload(cursor))',
    to: 'log2(data, 0x80, topic, calldataload(cursor))\n                log2(data, 0x80, topic, calldataload(cursor))',
    test: handlerSays,
    reason: /an order is paid once/,
  },
  {
    suite: 'System',
    id: 'nonces',
    name: 'a voucher pays a nonce that a claim has used',
    file: 'JobVault',
    from: 'if (nonce < nextNonce || word & bit != 0) revert LaneNonceUsed(laneId, nonce);',
    to: '',
    test: handlerSays,
    reason: /a nonce pays once/,
  },
  {
    suite: 'System',
    id: 'replays',
    name: 'money is held for a nonce that is used',
    file: 'JobVaultExtension',
    from: 'require(nonce >= nextNonce && word & _bitOf(nonce) == 0, IJobVault.LaneNonceUsed(laneId, nonce));',
    to: '',
    test: handlerSays,
    reason: /an order is (locked|claimed) once/,
  },
  {
    suite: 'System',
    id: 'gone',
    name: 'a withdrawal leaves the balance',
    file: 'JobVault',
    from: 'account.balance = (balance - amount).toUint96();',
    to: '',
    test: handlerSays,
    reason: /nothing is settled after a withdrawal of all/,
  },
  {
    suite: 'System',
    id: 'consent',
    name: 'nobody asks the guardian',
    file: 'JobVault',
    from: 'require(isApproved || consent >= ANNOUNCED, LaneUnapproved(laneId, guardian));',
    to: '',
    test: handlerSays,
    reason: /settled exactly when it may be/,
  },
  {
    suite: 'System',
    id: 'neighbours',
    name: 'jobs of a skipped lane count',
    file: 'JobVault',
    from: '                    _emitSkipped(batch, lanes, offset);\n',
    to: '                    jobs += laneJobs;\n                    _emitSkipped(batch, lanes, offset);\n',
    test: handlerSays,
    reason: /a bad lane changes nothing/,
  },
  {
    suite: 'System',
    id: 'ends',
    name: 'a round without mediators does not end',
    file: 'Jury',
    from: 'require(sitting == 0 && block.timestamp > _latestDraw(round), RoundNotOver(caseId));',
    to: 'require(sitting != 0 && block.timestamp > _latestDraw(round), RoundNotOver(caseId));',
    test: handlerSays,
    reason: /RoundNotOver|custom error 0x2fc76911/,
  },
  {
    suite: 'System',
    id: 'ends',
    name: 'a lock of a provider without stake does not expire',
    file: 'StakeVault',
    from: 'paid = FixedPointMathLib.min(penalty, _whole(stake));',
    to: 'paid = penalty;\n        _requireStake(StakeRole.Provider, account, token, paid, _whole(stake));',
    test: handlerSays,
    reason: /StakeShortfall/,
  },
  {
    suite: 'System',
    id: 'reach',
    name: 'no lock is in time',
    file: 'JobClaims',
    from: 'if (!_isTimely(order, terms)) return LockTimesInvalid.selector;',
    to: 'return LockTimesInvalid.selector;',
    test: 'test_HandlerReachesEveryMove',
    reason: /0x[0-9a-f]{8}: 0 <= 0/,
  },
]

const folder = mkdtempSync(join(tmpdir(), 'lilypad-breaks-'))
const project = join(folder, 'project')
const environment = {
  ...process.env,
  FOUNDRY_PROFILE: 'shallow',
  // The same runs for each, at the first failure the answer is known.
  FOUNDRY_FUZZ_SEED: '0x1',
  FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: '0',
  FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR: join(folder, 'failures'),
}

const forge = (args) =>
  spawnSync(foundryBinary('forge'), args, {
    cwd: project,
    env: environment,
    timeout: 900_000,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  })

function runSuite(suite, test) {
  rmSync(environment.FOUNDRY_INVARIANT_FAILURE_PERSIST_DIR, { recursive: true, force: true })
  const path = `contracts/test/invariant/${suite}.invariant.t.sol`
  const args = ['test', '--match-path', path, ...(test === undefined ? [] : ['--match-test', test])]
  const result = forge(args)
  const failures = [
    ...result.stdout.matchAll(
      /^\[FAIL(?:: (.*?))?\](?:\n[\s\S]*?)? ?((?:test|invariant)_\w+|afterInvariant|setUp)\(/gm,
    ),
  ]
  if (result.error || (result.status !== 0 && failures.length === 0)) {
    throw new Error(
      `forge could not run ${path}: ${result.error ?? result.stdout.slice(-2000) + result.stderr.slice(-2000)}`,
    )
  }
  return failures.map(([, reason = '', name]) => ({ reason, name }))
}

/** What the suite says of the broken contract: the failure that was asked for, or what came instead. */
function runBreak({ suite, file, from, to, test, reason }) {
  const path = join(project, `contracts/src/${file}.sol`)
  const text = readFileSync(path, 'utf8')
  if (text.split(from).length !== 2)
    throw new Error(`${file}.sol has this ${text.split(from).length - 1} times: ${from}`)
  writeFileSync(
    path,
    text.replace(from, () => to),
  )
  try {
    const failures = runSuite(suite, test)
    const found = failures.find((failure) => reason.test(failure.reason))
    return { isCaught: found !== undefined, failure: found ?? failures[0] }
  } finally {
    writeFileSync(path, text)
  }
}

const wanted = breaks.filter(({ suite, name }) => suite.startsWith(options.suite) && name.includes(options.only))
let missed = 0
try {
  copyShallowContracts(project)
  // forge reads whatever is there, every time.
  const tests = join(project, 'contracts/test')
  for (const name of readdirSync(tests)) {
    if (name !== 'invariant' && name !== 'fixtures') rmSync(join(tests, name), { recursive: true })
  }
  for (const suite of new Set(wanted.map((item) => item.suite))) {
    const [failure] = runSuite(suite)
    if (failure) throw new Error(`${suite} fails without a break: ${failure.reason} in ${failure.name}`)
  }
  console.log('| suite | id | break | contract | noticed by | as |\n|---|---|---|---|---|---|')
  for (const item of wanted) {
    const { isCaught, failure } = runBreak(item)
    if (!isCaught) missed++
    const noticed = failure === undefined ? 'nobody | ' : `\`${failure.name}\` | ${failure.reason.replaceAll('|', '/')}`
    console.log(
      `| ${item.suite} | ${item.id} | ${item.name} | ${item.file} | ${isCaught ? '' : '**not as asked:** '}${noticed} |`,
    )
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${wanted.length - missed} of ${wanted.length} breaks were noticed by the invariant they are for.`)
process.exit(missed === 0 ? 0 : 1)
