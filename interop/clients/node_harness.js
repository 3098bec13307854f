// What the Node programs share: names, texts, waiting, and the report in TAP.
'use strict'

const assert = require('node:assert/strict')
const readline = require('node:readline')

const PATIENCE = 60000

exports.port = Number(process.env.AMQP_PORT)
exports.tlsPort = Number(process.env.AMQP_TLS_PORT)
// How a scenario's own queue is declared, where it does not matter.
exports.own = process.env.AMQP_DURABLE ? { durable: true } : { exclusive: true }
exports.ca = require('node:fs').readFileSync(process.env.AMQP_CA)

let names = 0
exports.name = () => `interop.${++names}`

exports.sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// Waits until the function returns something true, and returns that, or its last value.
exports.eventually = async (condition, ms = PATIENCE) => {
  const deadline = Date.now() + ms
  for (;;) {
    const value = await condition()
    if (value || Date.now() > deadline) return value
    await exports.sleep(10)
  }
}

exports.pattern = (size) => {
  const body = Buffer.alloc(size)
  for (let at = 0; at < size; at++) body[at] = (at % 65537) * 7 + Math.floor((at % 65537) / 256)
  return body
}

exports.notFound = (queue) => `NOT_FOUND - no queue '${queue}' in vhost '/'`

exports.inequivalent = (exchange) =>
  `PRECONDITION_FAILED - inequivalent arg 'type' for exchange '${exchange}' in vhost '/': ` +
  "received 'fanout' but current is 'direct'"

// The error with which the promise fails, as it must.
exports.failure = async (promise) => {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

// The promise fails with that code, and with that in its text.
exports.refused = async (promise, code, text) => {
  const error = await exports.failure(promise)
  assert.equal(error.code, code)
  assert.ok(error.message.includes(text), error.message)
}

// The headers of a message that was published to that queue by name, and rejected once.
exports.checkDeath = (headers, queue) => {
  const [{ time, ...death }, ...more] = headers['x-death']
  assert.ok(time)
  assert.deepEqual(more, [])
  assert.deepEqual(death, {
    count: 1, reason: 'rejected', queue, exchange: '', 'routing-keys': [queue]
  })
  assert.deepEqual(['reason', 'queue', 'exchange'].map((key) => headers[`x-first-death-${key}`]),
    ['rejected', queue, ''])
}

// The matrix says that.
const told = (wanted) => new Promise((resolve, reject) => {
  const input = readline.createInterface({ input: process.stdin })
  input.once('line', (line) => {
    input.close()
    if (line === wanted) resolve()
    else reject(new Error(line))
  })
})

// The matrix kills the broker, and starts it again on the same store and ports.
exports.restartBroker = () => {
  console.log('restart')
  return told('restarted')
}

// The same in a moment, while the program goes on; it is waited for by brokerIsBack().
exports.failBroker = () => {
  console.log('failover')
  return told('failing')
}

exports.brokerIsBack = () => told('restarted')

// The scenario of that name. Its program connects again when its connection has ended, and does again what was not done
// then. `open` makes what the other functions get: `publish` ends when that is confirmed, `get` takes a message without
// acknowledging it, { body, redelivered }, or nothing; `ack` acknowledges it, perhaps with those before it.
exports.failover = async ({ open, publish, get, ack, remove }) => {
  const [confirmed, seen, fresh] = [new Set(), new Set(), new Set()]
  let [channel, attempts] = [null, 0]
  const insist = async (step) => {
    for (;;) {
      try {
        channel ??= await open()
        return await step()
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        channel = null
        await exports.sleep(50)
      }
    }
  }
  const publishAll = async (from, to) => {
    for (let number = from; number < to; number++) {
      await insist(async () => {
        const body = `${number}.${++attempts}`
        await publish(channel, body)
        confirmed.add(body)
      })
    }
  }
  const take = async () => {
    const message = await get(channel)
    if (!message) return null
    const { body, redelivered } = message
    assert.ok(redelivered || !fresh.has(body), `${body} comes twice, and does not say so`)
    seen.add(body)
    if (!redelivered) fresh.add(body)
    return message
  }
  const lost = () => [...confirmed].filter((body) => !seen.has(body))
  await publishAll(0, 10)
  const first = channel
  let held
  for (let count = 0; count < 3; count++) held = await take()
  await exports.failBroker()
  await publishAll(10, 200)
  await exports.brokerIsBack()
  await publishAll(200, 210)
  if (channel === first) await ack(channel, held, true)
  await exports.eventually(async () => {
    await insist(async () => {
      const message = await take()
      if (message) await ack(channel, message, false)
    })
    return !lost().length
  })
  assert.deepEqual([confirmed.size, lost()], [210, []])
  await insist(() => remove(channel))
}

const limit = (promise, ms) => Promise.race([promise, new Promise((_resolve, reject) => {
  setTimeout(() => reject(new Error('it took too long')), ms).unref()
})])

// Runs { name: async function } in order; closers are called at the end of each.
exports.closers = []
exports.main = async (scenarios) => {
  let number = 0
  for (const [title, run] of Object.entries(scenarios)) {
    number++
    try {
      await limit(run(), 2 * PATIENCE)
      console.log(`ok ${number} - ${title}`)
    } catch (error) {
      console.log(`not ok ${number} - ${title}`)
      console.log(String(error.stack).replace(/^/gm, '# '))
    }
    for (const close of exports.closers.splice(0)) await close().catch(() => {})
  }
  console.log(`1..${number}`)
  process.exit()
}
