// A client of browsers, by WebSocket: what it sends is what comes back, in order, whatever its size, and an error of a
// channel and a refused login are told. WEB_AMQP is the URL. Prints TAP.
'use strict'

const assert = require('node:assert/strict')
const { AMQPWebSocketClient } = require('@cloudamqp/amqp-client/amqp-websocket-client')

const connect = async (options = {}) => {
  const client = new AMQPWebSocketClient({ url: process.env.WEB_AMQP, vhost: '/', username: 'guest',
    password: 'guest', heartbeat: 0, ...options })
  client.onerror = () => {}
  return client.connect()
}

const cases = {
  async 'a message and its confirmation' () {
    const connection = await connect()
    const channel = await connection.channel()
    await channel.confirmSelect()
    const queue = await channel.queueDeclare('', { exclusive: true })
    assert.ok(await channel.basicPublish('', queue.name, 'hello', { deliveryMode: 2, contentType: 'text/plain' }) > 0)
    const message = await channel.basicGet(queue.name, { noAck: true })
    assert.equal(message.bodyString(), 'hello')
    assert.equal(message.properties.contentType, 'text/plain')
    await connection.close()
  },

  async 'bodies of all sizes' () {
    const connection = await connect()
    const channel = await connection.channel()
    const queue = await channel.queueDeclare('', { exclusive: true })
    for (const size of [0, 1, 125, 126, 4096, 65535, 65536, 131072, 1000000, 5000000]) {
      const body = new Uint8Array(size).map((_, at) => at % 251)
      await channel.basicPublish('', queue.name, body)
      const message = await channel.basicGet(queue.name, { noAck: true })
      assert.deepEqual(message.body ?? new Uint8Array(0), body)
    }
    await connection.close()
  },

  async 'many messages, in order' () {
    const connection = await connect()
    const channel = await connection.channel()
    await channel.prefetch(100)
    const queue = await channel.queueDeclare('', { exclusive: true })
    const count = 5000
    const got = []
    const consumer = await channel.basicConsume(queue.name, { noAck: false }, async (message) => {
      got.push(Number(message.bodyString()))
      await message.ack()
    })
    for (let number = 0; number < count; number++) await channel.basicPublish('', queue.name, String(number))
    while (got.length < count) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepEqual(got, [...Array(count).keys()])
    await channel.basicCancel(consumer.tag)
    await connection.close()
  },

  async 'an error of a channel, after which the connection goes on' () {
    const connection = await connect()
    const channel = await connection.channel()
    await assert.rejects(channel.queueDeclare('nowhere', { passive: true }), /NOT_FOUND/)
    const other = await connection.channel()
    await other.queueDeclare('', { exclusive: true })
    await connection.close()
  },

  async 'a login that is refused' () {
    await assert.rejects(connect({ password: 'wrong' }), /ACCESS_REFUSED/)
  }
}

const main = async () => {
  let number = 0
  let wrong = 0
  for (const [name, run] of Object.entries(cases)) {
    try {
      await run()
      console.log(`ok ${++number} - ${name}`)
    } catch (error) {
      wrong++
      console.log(`not ok ${++number} - ${name}\n# ${String(error.stack).replaceAll('\n', '\n# ')}`)
    }
  }
  console.log(`1..${number}`)
  process.exit(wrong ? 1 : 0)
}

main()
