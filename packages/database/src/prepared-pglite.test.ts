import { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PreparedPglite, preparePglite } from './prepared-pglite.ts'

let database: PreparedPglite
beforeAll(async () => {
  const pglite = await PGlite.create()
  await pglite.exec('create table ponds (id bigint primary key, name text, is_deep boolean, amount numeric(39,0))')
  database = preparePglite(pglite)
})
afterAll(() => database.close())

const listIds = async () => {
  const { rows } = await database.query('select id from ponds order by id', [], { rowMode: 'array' })
  return rows.flat()
}

describe('a prepared database', () => {
  test('takes and gives values of every kind that a column holds', async () => {
    const amount = (2n ** 127n).toString()
    await database.query('insert into ponds values ($1, $2, $3, $4)', [1, 'lily \u0041 "quoted"', true, amount])
    await database.query('insert into ponds values ($1, $2, $3, $4)', [2, null, false, 5n])
    expect((await database.query('select * from ponds order by id')).rows).toEqual([
      { id: 1, name: 'lily A "quoted"', is_deep: true, amount },
      { id: 2, name: null, is_deep: false, amount: '5' },
    ])
    expect((await database.query('select id from ponds where id = $1', [3])).rows).toEqual([])
    await expect(database.query('select $1::text', [new Date()])).rejects.toThrow('no column takes a value')
  })

  test('undoes a transaction that throws, one whose statement fails, and one that hides that it failed', async () => {
    const insert = 'insert into ponds (id) values ($1)'
    const failing = [
      database.transaction(async ({ query }) => {
        await query(insert, [10])
        throw new RangeError('no')
      }),
      database.transaction(async ({ query }) => {
        await query(insert, [11])
        await query(insert, [1])
      }),
      database.transaction(async ({ query }) => {
        await query(insert, [12])
        await query(insert, [1]).catch(() => {})
      }),
    ]
    const reasons = (await Promise.allSettled(failing)).map((result) => 'reason' in result && String(result.reason))
    expect(reasons).toEqual([
      'RangeError: no',
      expect.stringContaining('duplicate key'),
      expect.stringContaining('nothing was committed'),
    ])
    expect(await listIds()).toEqual([1, 2])
  })

  test('lets nothing come between the statements of a transaction', async () => {
    const both = await Promise.all(
      [20, 30].map((id) =>
        database.transaction(async ({ query }) => {
          const { rows } = await query('select count(*) as ponds from ponds')
          await query('insert into ponds (id) values ($1)', [id])
          return rows
        }),
      ),
    )
    expect(both).toEqual([[{ ponds: 2 }], [{ ponds: 3 }]])
  })

  test('goes on after more statements than it keeps', async () => {
    for (let number = 0; number < 320; number++) await database.query(`select ${number} as number`)
    expect((await database.query('select 0 as number')).rows).toEqual([{ number: 0 }])
    expect(await listIds()).toEqual([1, 2, 20, 30])
  })
})
