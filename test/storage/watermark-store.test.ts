import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WatermarkStore } from '../../storage/watermark-store.ts'
import { memoryDatabase, openStore } from './open-store.ts'

const partitions = 4
const content = Buffer.from('proven')

test('what is known of watermarks comes back from disk', async () => {
  const database = { ...(await memoryDatabase()), close: async () => {} }
  const { store, settle } = await openStore(database)
  const kept = new WatermarkStore(store, partitions)
  kept.saveTable(Buffer.from('table'))
  kept.saveLists([{ list: 'l', partition: 2, content }])
  await settle()
  await store.close()
  const { store: again } = await openStore(database)
  const { table, lists, contents } = await new WatermarkStore(again, partitions).load()
  const names = lists.get('l') ?? []
  assert.equal(String(table), 'table')
  assert.deepEqual(
    names.map((name) => (name === null ? null : String(contents.get(name)))),
    [null, null, 'proven', null]
  )
})

test('what is learned while the store closes is forgotten, and disturbs nobody', async () => {
  const { store } = await openStore(await memoryDatabase())
  const kept = new WatermarkStore(store, partitions)
  await store.close()
  kept.saveTable(Buffer.from('table'))
  kept.saveLists([{ list: 'l', partition: 2, content }])
})
