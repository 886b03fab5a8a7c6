import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Journal, Recorder } from './recorder.ts'
import { patterned, TransportBench, type TransportFactory } from './transport-bench.ts'

/** The contract of `Transport` in core/ports.ts, for every implementation of it. */
export function transportSuite(name: string, factory: TransportFactory): void {
  const law = (title: string, body: (bench: TransportBench) => Promise<void>): void => {
    test(title, { timeout: 30_000 }, async () => {
      const journal = new Journal()
      const bench = new TransportBench(await factory(journal), journal)
      try {
        await body(bench)
      } finally {
        await bench.stop()
      }
    })
  }
  describe(`${name}: opening`, () => openingLaws(law))
  describe(`${name}: messages`, () => messageLaws(law))
  describe(`${name}: closing`, () => closingLaws(law))
  describe(`${name}: listening`, () => listeningLaws(law))
}

type Law = (title: string, body: (bench: TransportBench) => Promise<void>) => void

function openingLaws(law: Law): void {
  law('tells both sides, and never out of dial', async (bench) => {
    const listener = await bench.listen()
    const dialed = bench.dial(listener.address)
    assert.deepEqual(dialed.recorder.events, [])
    await bench.until(() => dialed.recorder.isOpen && bench.accepted[0]?.recorder.isOpen === true)
  })

  law('carries the channel to the other side and names it to people', async (bench) => {
    const listener = await bench.listen()
    for (const channel of ['small', 'bulk'] as const) {
      const [dialed, accepted] = await bench.connect(listener, channel)
      assert.equal(dialed.connection.channel, channel)
      assert.equal(accepted.connection.channel, channel)
      assert.equal(dialed.connection.remote, listener.address)
      assert.notEqual(accepted.connection.remote, '')
    }
  })

  law('closes without opening where nobody listens', async (bench) => {
    const dialed = bench.dial(bench.harness.deadAddress)
    assert.deepEqual(dialed.recorder.events, [])
    await bench.until(() => dialed.recorder.isClosed)
    assert.ok(!dialed.recorder.isOpen)
    assert.notEqual(dialed.recorder.closeReason, '')
  })

  law('closes without opening where the address is none, saying so', async (bench) => {
    const addresses = ['', 'nonsense', '127.0.0.1', '127.0.0.1:99999', 'http://127.0.0.1:80/', ':1']
    for (const address of addresses) {
      const dialed = bench.dial(address)
      assert.deepEqual(dialed.recorder.events, [], 'never out of dial')
      await bench.until(() => dialed.recorder.isClosed)
      assert.ok(!dialed.recorder.isOpen)
      assert.match(dialed.recorder.closeReason ?? '', /is not an address/)
    }
  })

  law('may be given up before it opened', async (bench) => {
    const listener = await bench.listen()
    const dialed = bench.dial(listener.address)
    dialed.connection.close('changed my mind')
    await bench.until(() => dialed.recorder.isClosed)
    await bench.roundTrip()
    assert.deepEqual(dialed.recorder.events, [{ kind: 'close', reason: 'changed my mind' }])
    await bench.until(() => bench.accepted.every(({ recorder }) => recorder.isClosed))
  })

  law('may be refused by the acceptor', async (bench) => {
    const listener = await bench.listen((connection) => {
      const recorder = new Recorder(bench.journal)
      bench.accepted.push({ connection, recorder })
      connection.close('not you')
      assert.deepEqual(recorder.events, [], 'never out of close')
      return recorder
    })
    const dialed = bench.dial(listener.address)
    await bench.until(() => dialed.recorder.isClosed)
    const [accepted] = bench.accepted
    await bench.until(() => accepted?.recorder.isClosed === true)
    assert.deepEqual(accepted?.recorder.events, [{ kind: 'close', reason: 'not you' }])
  })

  law('opens many connections that do not disturb each other', async (bench) => {
    const listener = await bench.listen(bench.echo)
    const all = Array.from({ length: 40 }, (_, i) =>
      bench.dial(listener.address, i % 2 === 0 ? 'small' : 'bulk')
    )
    await bench.until(() => all.every(({ recorder }) => recorder.isOpen))
    all.forEach(({ connection }, i) => {
      connection.send(patterned(100, i))
    })
    await bench.until(() => all.every(({ recorder }) => recorder.messages.length === 1))
    all.forEach(({ recorder }, i) => {
      assert.deepEqual(Buffer.from(recorder.messages[0] ?? []), patterned(100, i))
    })
  })
}

function messageLaws(law: Law): void {
  law('arrive whole and in order, in both directions at once', async (bench) => {
    const listener = await bench.listen()
    const [dialed, accepted] = await bench.connect(listener)
    const count = 500
    for (let i = 0; i < count; i++) {
      dialed.connection.send(patterned(i, i))
      accepted.connection.send(patterned(count - i, i + 1))
    }
    const both = [dialed, accepted]
    await bench.until(() => both.every(({ recorder }) => recorder.messages.length === count))
    for (let i = 0; i < count; i++) {
      assert.deepEqual(Buffer.from(accepted.recorder.messages[i] ?? []), patterned(i, i))
      assert.deepEqual(Buffer.from(dialed.recorder.messages[i] ?? []), patterned(count - i, i + 1))
    }
  })

  law('may be sent before the connection opened', async (bench) => {
    const listener = await bench.listen()
    const dialed = bench.dial(listener.address)
    dialed.connection.send(patterned(10, 1))
    dialed.connection.send(patterned(20, 2))
    await bench.until(() => bench.accepted[0]?.recorder.messages.length === 2)
    assert.deepEqual(
      bench.accepted[0]?.recorder.messages.map((message) => Buffer.from(message)),
      [patterned(10, 1), patterned(20, 2)]
    )
  })

  for (const [title, bytesOf] of [
    ['empty', () => 0],
    ['of 1 MiB', () => 1024 * 1024],
    ['of the largest size', (max: number) => max]
  ] as const) {
    law(`come back as they were: ${title}`, async (bench) => {
      const listener = await bench.listen(bench.echo)
      const [dialed] = await bench.connect(listener, 'bulk')
      const message = patterned(bytesOf(bench.harness.messageBytesMax), 3)
      dialed.connection.send(message)
      await bench.until(() => dialed.recorder.messages.length === 1)
      assert.ok(message.equals(dialed.recorder.messages[0] ?? Buffer.of(1)))
    })
  }

  law('that are too large end the connection, saying so, from either side', async (bench) => {
    const listener = await bench.listen()
    for (const side of [0, 1] as const) {
      const pair = await bench.connect(listener)
      const sender = pair[side]
      const tooLarge = Buffer.alloc(bench.harness.messageBytesMax + 1)
      assert.equal(sender.connection.send(tooLarge), false)
      await bench.until(() => pair.every(({ recorder }) => recorder.isClosed))
      assert.match(sender.recorder.closeReason ?? '', new RegExp(`${tooLarge.length} bytes`))
      assert.deepEqual(pair[1 - side]?.recorder.messages, [])
    }
    await bench.roundTrip()
  })

  law('are taken until the window is full, and again after a drain', async (bench) => {
    const listener = await bench.listen()
    const [dialed, accepted] = await bench.connect(listener, 'bulk')
    for (const [from, to] of [
      [dialed, accepted],
      [accepted, dialed]
    ] as const) {
      let sent = 0
      for (let round = 1; round <= 3; round++) {
        while (from.connection.send(patterned(64 * 1024, sent++))) {
          assert.ok(sent < 10_000, 'the window has an end')
        }
        await bench.until(() => from.recorder.drains === round)
      }
      await bench.until(() => to.recorder.messages.length === sent)
      to.recorder.messages.forEach((message, i) => {
        assert.ok(patterned(64 * 1024, i).equals(message), `message ${i}`)
      })
      assert.equal(from.recorder.drains, 3, 'a drain only follows a false')
    }
  })
}

function closingLaws(law: Law): void {
  for (const side of [0, 1] as const) {
    const who = side === 0 ? 'dialed' : 'accepted'
    law(`reaches both sides once, from the side that ${who}`, async (bench) => {
      const listener = await bench.listen()
      const pair = await bench.connect(listener)
      const closer = pair[side]
      closer.connection.close('enough')
      assert.ok(!closer.recorder.isClosed, 'never out of close')
      closer.connection.close('again')
      await bench.until(() => pair.every(({ recorder }) => recorder.isClosed))
      assert.equal(closer.recorder.closeReason, 'enough')
      for (const { connection } of pair) {
        assert.equal(connection.send(patterned(10, 1)), false)
        connection.close('once more')
      }
      // The recorders themselves refuse whatever would still come.
      await bench.roundTrip()
      for (const { recorder } of pair) assert.equal(recorder.events.length, 2)
    })
  }

  law('from both sides at once', async (bench) => {
    const listener = await bench.listen()
    const pair = await bench.connect(listener)
    pair[0].connection.close('mine')
    pair[1].connection.close('yours')
    await bench.until(() => pair.every(({ recorder }) => recorder.isClosed))
    assert.deepEqual(
      pair.map(({ recorder }) => recorder.closeReason),
      ['mine', 'yours']
    )
    await bench.roundTrip()
  })

  law('in the middle of traffic leaves a prefix of what was sent', async (bench) => {
    const listener = await bench.listen()
    const [dialed, accepted] = await bench.connect(listener)
    for (let i = 0; i < 200; i++) dialed.connection.send(patterned(1000, i))
    dialed.connection.close('in the middle')
    await bench.until(() => accepted.recorder.isClosed)
    accepted.recorder.messages.forEach((message, i) => {
      assert.ok(patterned(1000, i).equals(message), `message ${i}`)
    })
  })

  law('out of an event is heard on both sides', async (bench) => {
    const listener = await bench.listen((connection) => {
      const recorder = new Recorder(bench.journal, (event) => {
        if (event.kind !== 'close') connection.close(`at ${event.kind}`)
      })
      bench.accepted.push({ connection, recorder })
      return recorder
    })
    const dialed = bench.dial(listener.address)
    await bench.until(() => dialed.recorder.isClosed)
    const [accepted] = bench.accepted
    await bench.until(() => accepted?.recorder.isClosed === true)
    assert.deepEqual(accepted?.recorder.events, [
      { kind: 'open' },
      { kind: 'close', reason: 'at open' }
    ])
  })

  law('takes a reason in any characters and of any length', async (bench) => {
    const listener = await bench.listen()
    for (const reason of ['', 'ä\n\u0000 %zz', '\ud800', 'x'.repeat(100_000)]) {
      const pair = await bench.connect(listener)
      pair[1].connection.close(reason)
      await bench.until(() => pair.every(({ recorder }) => recorder.isClosed))
      assert.equal(pair[1].recorder.closeReason, reason)
    }
  })
}

function listeningLaws(law: Law): void {
  law('ends with every accepted connection closed', async (bench) => {
    const listener = await bench.listen()
    const pairs = [await bench.connect(listener), await bench.connect(listener, 'bulk')]
    await listener.close()
    await bench.until(() => pairs.flat().every(({ recorder }) => recorder.isClosed))
    const late = bench.dial(listener.address)
    await bench.until(() => late.recorder.isClosed)
    assert.ok(!late.recorder.isOpen)
  })

  law('may be closed twice', async (bench) => {
    const listener = await bench.listen()
    await Promise.all([listener.close(), listener.close()])
    await listener.close()
  })

  law('frees its address', async (bench) => {
    const listener = await bench.listen()
    await listener.close()
    const again = await bench.harness.acceptor.listen(listener.address, bench.echo)
    assert.equal(again.address, listener.address)
    const [dialed] = await bench.connect(again)
    dialed.connection.send(patterned(5, 5))
    await bench.until(() => dialed.recorder.messages.length === 1)
    await again.close()
  })

  law('on a taken address rejects, naming it, and leaves the first alone', async (bench) => {
    const listener = await bench.listen()
    await bench.rejectsListening(listener.address, listener.address)
    await bench.connect(listener)
  })

  law('on what is no address rejects, naming it', async (bench) => {
    for (const address of ['', 'nonsense', '127.0.0.1:70000']) {
      await bench.rejectsListening(address, JSON.stringify(address))
    }
  })
}
