// What the Node programs share: names, texts, waiting, and the report in TAP.
'use strict'

const assert = require('node:assert/strict')
const readline = require('node:readline')

const PATIENCE = 60000

exports.port = Number(process.env.AMQP_PORT)
exports.tlsPort = Number(process.env.AMQP_TLS_PORT)
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

// The matrix kills the broker, and starts it again on the same store and ports.
exports.restartBroker = () => new Promise((resolve, reject) => {
  const input = readline.createInterface({ input: process.stdin })
  input.once('line', (line) => {
    input.close()
    if (line === 'restarted') resolve()
    else reject(new Error(line))
  })
  console.log('restart')
})

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
