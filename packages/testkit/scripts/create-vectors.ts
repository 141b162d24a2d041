// The shared vectors: digests, ids and signatures computed with viem alone, so that our encoder in TypeScript and the
// vault in Solidity are both compared with an implementation that is neither.
import {
  concatHex,
  encodeAbiParameters,
  encodePacked,
  getContractAddress,
  hashStruct,
  hashTypedData,
  type Hex,
  keccak256,
  parseSignature,
  sha256,
  stringToHex,
  toHex,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

const deployer = '0x00000000000000000000000000000000000de910'
const privateKey = keccak256(stringToHex('lilypad vectors'))
const account = privateKeyToAccount(privateKey)
const contracts = {
  token: getContractAddress({ from: deployer, nonce: 1n }),
  registry: getContractAddress({ from: deployer, nonce: 2n }),
  vault: getContractAddress({ from: deployer, nonce: 3n }),
}
const domain = { name: 'Lilypad', version: '1', chainId: 31_337, verifyingContract: contracts.vault }

type Field = { readonly name: string; readonly type: string }
type Value = Hex | bigint
type Values = Readonly<Record<string, Value>>

/** Members as the design lists them. */
const types: Readonly<Record<string, string>> = {
  Ask: 'address provider,address solver,bytes32 moduleVersion,address token,uint128 pricePerJob,uint128 pricePerSecond,uint128 pricePerInputUnit,uint128 pricePerOutputUnit,uint32 slots,uint64 validUntil,bytes32 salt',
  SessionGrant:
    'address payer,address key,address token,uint128 perJob,uint128 perDay,uint128 total,uint64 validUntil,bytes32 providersRoot,bytes32 modulesRoot,uint256 nonce',
  JobOrder:
    'address payer,address key,bytes32 moduleVersion,bytes32 inputsDigest,bytes32 askHash,address provider,address solver,address token,uint128 maxPrice,uint64 lane,uint64 nonce,uint64 startBy,uint64 deliverBy,uint8 verification,bytes32 auditCommit',
  Reservation:
    'bytes32 orderHash,address solver,address payer,address token,uint64 sequence,bytes32 previous,uint128 amount,uint128 outstanding,uint64 reservedAt',
  Receipt:
    'bytes32 orderHash,uint8 status,bytes32 manifestDigest,bytes32 outputsRoot,bytes32 logsDigest,uint64 inputUnits,uint64 outputUnits,uint64 meteredSeconds,uint128 price,uint64 startedAt,uint64 finishedAt',
  Voucher:
    'address payer,address key,address provider,address solver,address token,uint64 lane,uint128 cumulativeAmount,uint64 jobs,bytes32 recordsHash',
  Verdict: 'bytes32 orderHash,bytes32 receiptHash,bytes32 comparator,uint8 outcome,bytes32 evidenceDigest',
  Access: 'bytes32 subject,uint64 validUntil',
  Acknowledgement: 'bytes32 orderHash,bytes32 receiptHash,uint128 price',
  SettlementApproval: 'bytes32 settlementHash,uint64 validUntil',
  NodeAttestation: 'address provider,bytes32 reportDigest,uint64 ranAt,uint64 validUntil,uint8 failedChecks',
}
const fieldsOf = (members: string): Field[] =>
  members.split(',').map((member) => {
    const [type = '', name = ''] = member.split(' ')
    return { name, type }
  })

const bitsOf = (type: string): number => (type === 'address' ? 160 : type === 'bytes32' ? 256 : Number(type.slice(4)))

const kinds = ['zero', 'one', 'max', 'top', 'drawn', 'low'] as const
type Kind = (typeof kinds)[number]

/** A value of a type for a case: the bounds, one, one bit set at the top, or bytes drawn from the hash of its name. */
function drawValue(kind: Kind, object: string, { name, type }: Field): Value {
  const bits = BigInt(bitsOf(type))
  const drawn = BigInt(keccak256(stringToHex(`${kind} ${object} ${name}`)))
  const value = {
    zero: 0n,
    one: 1n,
    max: (1n << bits) - 1n,
    top: 1n << (bits - 1n),
    drawn: drawn >> (256n - bits),
    low: drawn % 200n,
  }[kind]
  return type === 'address' || type === 'bytes32' ? toHex(value, { size: Number(bits) / 8 }) : value
}

const toText = (values: Values): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, String(value)]))

async function createObject(primaryType: string) {
  const members = types[primaryType] ?? ''
  const fields = fieldsOf(members)
  const cases = []
  for (const kind of kinds) {
    const message = Object.fromEntries(fields.map((field) => [field.name, drawValue(kind, primaryType, field)]))
    const typed = { domain, types: { [primaryType]: fields }, primaryType, message }
    const signature = await account.signTypedData(typed)
    const { r, s, v } = parseSignature(signature)
    cases.push({
      name: kind,
      message: toText(message),
      encoded: encodeAbiParameters(
        fields,
        fields.map(({ name }) => message[name]),
      ),
      structHash: hashStruct({ data: message, primaryType, types: { [primaryType]: fields } }),
      digest: hashTypedData(typed),
      signature,
      r,
      s,
      v: Number(v),
    })
  }
  return { encodeType: `${primaryType}(${members})`, names: cases.map(({ name }) => name), cases }
}

const laneMembers = fieldsOf('address payer,address key,address provider,address solver,address token,uint64 lane')
const recordMembers = fieldsOf('bytes32 orderHash,bytes32 receiptHash,bytes32 moduleVersion,uint128 price,uint64 nonce')
const encode = (members: readonly Field[], values: Values): Hex =>
  encodeAbiParameters(
    members,
    members.map(({ name }) => values[name]),
  )

const byName = <T extends { readonly name: string }>(entries: readonly T[]) =>
  Object.fromEntries(entries.map(({ name, ...entry }) => [name, entry]))

function createLanes() {
  const lanes = (['zero', 'one', 'max', 'drawn'] as const).map((kind) => {
    const lane = Object.fromEntries(laneMembers.map((member) => [member.name, drawValue(kind, 'Lane', member)]))
    const encoded = encode(laneMembers, lane)
    return { name: kind, message: toText(lane), encoded, laneId: keccak256(encoded) }
  })
  return byName(lanes)
}

/** A lane of records of two modules, its running hash after each, and the signed settlement of all of them. */
async function createLaneRecords() {
  const moduleVersions = ['tts', 'ocr'].map((name) => keccak256(stringToHex(`version of ${name}`))).toSorted()
  const jobs = [
    { price: 1_000_000_000_000_000n, nonce: 0n, module: 0 },
    { price: 0n, nonce: 1n, module: 1 },
    { price: (1n << 88n) - 1n, nonce: 2n, module: 0 },
    { price: 7n, nonce: 300n, module: 1 },
    { price: 1n, nonce: 5n, module: 0 },
  ]
  let recordsHash = toHex(0n, { size: 32 })
  let cumulativeAmount = 0n
  const records = jobs.map(({ price, nonce, module }, index) => {
    const record = {
      orderHash: keccak256(stringToHex(`order ${index}`)),
      receiptHash: keccak256(stringToHex(`receipt ${index}`)),
      moduleVersion: moduleVersions[module] ?? '0x',
      price,
      nonce,
    }
    const recordHash = keccak256(encode(recordMembers, record))
    recordsHash = keccak256(encodeAbiParameters(fieldsOf('bytes32 before,bytes32 record'), [recordsHash, recordHash]))
    cumulativeAmount += price
    const { orderHash, receiptHash } = record
    const packed = encodePacked(
      ['bytes32', 'bytes32', 'uint96', 'uint8', 'uint64'],
      [orderHash, receiptHash, price, module, nonce],
    )
    return { message: toText(record), packed, recordHash, recordsHash, cumulativeAmount: String(cumulativeAmount) }
  })
  const voucher = {
    payer: account.address,
    key: account.address,
    provider: drawValue('drawn', 'settlement', { name: 'provider', type: 'address' }),
    solver: drawValue('drawn', 'settlement', { name: 'solver', type: 'address' }),
    token: contracts.token,
    lane: 3n,
    cumulativeAmount,
    jobs: BigInt(records.length),
    recordsHash,
  }
  const fields = fieldsOf(types.Voucher ?? '')
  const signature = await account.signTypedData({
    domain,
    types: { Voucher: fields },
    primaryType: 'Voucher',
    message: voucher,
  })
  // Flag 4: nonces are given. The key is the payer and the lane is new, so neither the key nor a hash is.
  const head = encodePacked(
    ['uint8', 'address', 'uint64', 'bytes', 'uint16'],
    [4, voucher.payer, voucher.lane, signature, records.length],
  )
  const packedLane = concatHex([head, ...records.map(({ packed }) => packed)])
  const settlement = {
    provider: voucher.provider,
    solver: voucher.solver,
    token: voucher.token,
    modulesHash: keccak256(concatHex(moduleVersions)),
    lanesHash: keccak256(packedLane),
  }
  return {
    moduleVersions,
    records,
    packedLane,
    voucher: toText(voucher),
    encodedVoucher: encode(fields, voucher),
    signature,
    settlementHash: keccak256(
      encode(
        fieldsOf('address provider,address solver,address token,bytes32 modulesHash,bytes32 lanesHash'),
        settlement,
      ),
    ),
  }
}

function createModules() {
  const modules = ['tts', 'ocr', 'a', '0', `a${'-'.repeat(61)}z`].map((name) => {
    const manifestDigest = sha256(stringToHex(`manifest of ${name}`))
    const moduleId = keccak256(stringToHex(name))
    return {
      name,
      manifestDigest,
      moduleId,
      moduleVersion: keccak256(encodeAbiParameters(fieldsOf('bytes32 id,bytes32 digest'), [moduleId, manifestDigest])),
    }
  })
  return byName(modules)
}

/** All vectors as one JSON value. */
export async function createVectors(): Promise<object> {
  const objects: Record<string, unknown> = {}
  for (const primaryType of Object.keys(types)) objects[primaryType] = await createObject(primaryType)
  return {
    about: 'Written by packages/testkit/scripts/write-vectors.ts with viem; read by forge and vitest.',
    deployer,
    contracts,
    domain,
    domainSeparator: keccak256(
      encodeAbiParameters(fieldsOf('bytes32 type,bytes32 name,bytes32 version,uint256 chainId,address vault'), [
        keccak256(stringToHex('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)')),
        keccak256(stringToHex(domain.name)),
        keccak256(stringToHex(domain.version)),
        BigInt(domain.chainId),
        domain.verifyingContract,
      ]),
    ),
    privateKey,
    address: account.address,
    objects,
    lanes: createLanes(),
    lane: await createLaneRecords(),
    modules: createModules(),
  }
}
