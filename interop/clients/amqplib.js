// The scenarios with amqplib.
'use strict'

const assert = require('node:assert/strict')
const amqp = require('amqplib')
const h = require('./node_harness.js')

const connect = async (options = {}) => {
  const connection = await amqp.connect({ hostname: '127.0.0.1', port: h.port, heartbeat: 0, ...options })
  connection.on('error', () => {})
  h.closers.push(() => connection.close())
  return connection
}

// A channel without a listener for errors would end the program.
const channel = async (connection, kind = 'createChannel') => {
  const ch = await connection[kind]()
  ch.errors = []
  ch.on('error', (error) => ch.errors.push(error))
  return ch
}

const ownQueue = async (ch, options) =>
  (await ch.assertQueue('', { durable: false, ...h.own, ...options })).queue

const send = (ch, queue, body, options) => ch.sendToQueue(queue, Buffer.from(body), options)

const get = async (ch, queue, options = { noAck: true }) => {
  const message = await h.eventually(() => ch.get(queue, options))
  assert.ok(message, `there is no message in ${queue}`)
  return message
}

const bodies = async (ch, queue, count) => {
  const got = []
  while (got.length < count) got.push(String((await get(ch, queue)).content))
  return got
}

const scenarios = {
  async login () {
    const connection = await connect()
    assert.equal(connection.connection.serverProperties.product, 'RabbitMQ')
    await (await channel(connection)).close()
    await connection.close()
  },

  async 'wrong-password' () {
    const error = await h.failure(connect({ username: 'guest', password: 'wrong' }))
    assert.match(error.message, /403 \(ACCESS-REFUSED\).*ACCESS_REFUSED - Login was refused/)
  },

  async heartbeats () {
    const connection = await connect({ heartbeat: 1 })
    await h.sleep(3000)
    await ownQueue(await channel(connection))
  },

  async properties () {
    const ch = await channel(await connect())
    const q = await ownQueue(ch)
    const want = {
      contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 7,
      correlationId: 'c-1', replyTo: 'answers', expiration: '60000', messageId: 'm-1',
      timestamp: 1715000000, type: 'kind', userId: 'guest', appId: 'interop'
    }
    send(ch, q, Buffer.from([255, 0]), want)
    const { properties, content } = await get(ch, q)
    const { headers, clusterId, ...got } = properties
    assert.deepEqual([got, headers, clusterId], [want, {}, undefined])
    assert.deepEqual(content, Buffer.from([255, 0]))
  },

  async headers () {
    const ch = await channel(await connect())
    const q = await ownQueue(ch)
    const headers = {
      bool: true, byte: -7, short: -300, int: 70000, long: 2 ** 40, double: 1.5, string: '\u00e9',
      bytes: Buffer.from([255, 0]), decimal: { '!': 'decimal', value: { digits: 314, places: 2 } },
      time: { '!': 'timestamp', value: 1715000000 }, table: { deep: { er: 1 } },
      array: [1, 'two', [3]], void: null
    }
    send(ch, q, 'x', { headers })
    assert.deepEqual((await get(ch, q)).properties.headers, headers)
  },

  async confirms () {
    const ch = await channel(await connect(), 'createConfirmChannel')
    const q = await ownQueue(ch)
    let acked = 0
    for (let number = 0; number < 500; number++) {
      ch.sendToQueue(q, Buffer.from('x'), {}, (error) => { acked += error === null })
    }
    await ch.waitForConfirms()
    assert.equal(acked, 500)
    assert.equal((await ch.checkQueue(q)).messageCount, 500)
  },

  async mandatory () {
    const ch = await channel(await connect())
    const returned = new Promise((resolve) => ch.once('return', resolve))
    ch.publish('amq.direct', h.name(), Buffer.from('back'), { mandatory: true, messageId: 'm' })
    const { fields, properties, content } = await returned
    assert.deepEqual(
      [fields.replyCode, fields.replyText, fields.exchange, properties.messageId, String(content)],
      [312, 'NO_ROUTE', 'amq.direct', 'm', 'back'])
  },

  async prefetch () {
    const ch = await channel(await connect())
    const [q, seen] = [await ownQueue(ch), []]
    for (let number = 0; number < 10; number++) send(ch, q, String(number))
    await ch.prefetch(3)
    await ch.consume(q, (message) => seen.push(message))
    await h.eventually(() => seen.length >= 3)
    await h.eventually(() => seen.length > 3, 300)
    assert.equal(seen.length, 3)
    ch.ack(seen[2], true)
    await h.eventually(() => seen.length >= 6)
    await h.eventually(() => seen.length > 6, 300)
    assert.deepEqual(seen.map((message) => String(message.content)), ['0', '1', '2', '3', '4', '5'])
  },

  async acks () {
    const ch = await channel(await connect())
    const [q, got, again] = [await ownQueue(ch), [], []]
    for (let number = 0; number < 5; number++) send(ch, q, String(number))
    while (got.length < 5) got.push(await get(ch, q, { noAck: false }))
    ch.ack(got[0])
    ch.reject(got[1], false)
    ch.reject(got[2], true)
    ch.nack(got[4], true, true)
    while (again.length < 3) again.push(await get(ch, q))
    assert.deepEqual(again.map((message) => [String(message.content), message.fields.redelivered]),
      [['2', true], ['3', true], ['4', true]])
    assert.equal(await ch.get(q), false)
  },

  async 'dead-letter' () {
    const ch = await channel(await connect())
    const dead = await ownQueue(ch)
    const q = await ownQueue(ch, { deadLetterExchange: '', deadLetterRoutingKey: dead })
    send(ch, q, 'ill', { headers: { own: 1 } })
    ch.reject(await get(ch, q, { noAck: false }), false)
    const { properties, content } = await get(ch, dead)
    h.checkDeath(properties.headers, q)
    assert.deepEqual([String(content), properties.headers.own], ['ill', 1])
  },

  async exchanges () {
    const ch = await channel(await connect())
    for (const [kind, binding, hit, miss] of [['direct', 'k', 'k', 'l'],
      ['topic', 'a.*.#', 'a.b.c', 'b.a'], ['fanout', '', 'any', null]]) {
      const [x, y, q] = [h.name(), h.name(), await ownQueue(ch)]
      await ch.assertExchange(x, kind, { autoDelete: true })
      await ch.assertExchange(y, 'fanout', { autoDelete: true })
      await ch.bindQueue(q, x, binding)
      await ch.bindExchange(x, y, '')
      ch.publish(x, hit, Buffer.from('in'))
      if (miss) ch.publish(x, miss, Buffer.from('out'))
      ch.publish(y, hit, Buffer.from('through'))
      await ch.unbindExchange(x, y, '')
      await ch.unbindQueue(q, x, binding)
      send(ch, q, 'end')
      assert.deepEqual(await bodies(ch, q, 3), ['in', 'through', 'end'])
    }
    const q = await ownQueue(ch)
    await ch.bindQueue(q, 'amq.headers', '', { 'x-match': 'all', a: 1, b: 'two' })
    ch.publish('amq.headers', '', Buffer.from('both'), { headers: { a: 1, b: 'two' } })
    ch.publish('amq.headers', '', Buffer.from('one'), { headers: { a: 1 } })
    send(ch, q, 'end')
    assert.deepEqual(await bodies(ch, q, 2), ['both', 'end'])
  },

  async queues () {
    const [owner, connection] = [await connect(), await connect()]
    const { queue: q } = await (await channel(owner)).assertQueue('', { exclusive: true })
    assert.ok(q.startsWith('amq.gen-'), q)
    await h.refused((await channel(connection)).checkQueue(q), 405, 'RESOURCE_LOCKED')
    await owner.close()
    await h.refused((await channel(connection)).checkQueue(q), 404, h.notFound(q))
  },

  async 'cancel-notify' () {
    const connection = await connect()
    const [ch, seen] = [await channel(connection), []]
    const q = await ownQueue(ch)
    await ch.consume(q, (message) => seen.push(message))
    await (await channel(connection)).deleteQueue(q)
    await h.eventually(() => seen.length)
    assert.deepEqual(seen, [null])
  },

  async 'channel-error' () {
    const connection = await connect()
    const missing = h.name()
    await h.refused((await channel(connection)).checkQueue(missing), 404, h.notFound(missing))
    const ch = await channel(connection)
    await ch.assertExchange(missing, 'direct', { durable: false })
    await h.refused(ch.assertExchange(missing, 'fanout', { durable: false }), 406,
      h.inequivalent(missing))
    const again = await channel(connection)
    await again.deleteExchange(missing)
    const q = await ownQueue(again)
    send(again, q, 'x')
    assert.deepEqual(await bodies(again, q, 1), ['x'])
  },

  async 'large-body' () {
    const ch = await channel(await connect())
    const [q, seen, body] = [await ownQueue(ch), [], h.pattern(20000000)]
    await ch.consume(q, (message) => seen.push(message.content), { noAck: true })
    send(ch, q, body)
    await h.eventually(() => seen.length)
    assert.ok(seen[0].equals(body), 'the body is the same')
  },

  async failover () {
    const queue = h.name()
    await h.failover({
      open: async () => {
        const ch = await channel(await connect(), 'createConfirmChannel')
        await ch.assertQueue(queue)
        return ch
      },
      publish: async (ch, body) => {
        send(ch, queue, body, { persistent: true, mandatory: true })
        await ch.waitForConfirms()
      },
      get: async (ch) => {
        const message = await ch.get(queue)
        return message && { message, body: String(message.content), redelivered: message.fields.redelivered }
      },
      ack: (ch, { message }, all) => ch.ack(message, all),
      remove: (ch) => ch.deleteQueue(queue)
    })
  },

  async 'reply-to' () {
    const connection = await connect()
    const [asker, server, answers] = [await channel(connection), await channel(connection), []]
    const q = await ownQueue(server)
    const address = 'amq.rabbitmq.reply-to'
    await asker.consume(address, ({ properties, content }) => {
      answers.push([properties.correlationId, String(content)])
    }, { noAck: true })
    for (const number of ['0', '1', '2']) {
      send(asker, q, number, { replyTo: address, correlationId: number })
      const { properties, content } = await get(server, q)
      send(server, properties.replyTo, `${content}!`, { correlationId: properties.correlationId })
    }
    await h.eventually(() => answers.length === 3)
    assert.deepEqual(answers, [['0', '0!'], ['1', '1!'], ['2', '2!']])
  },

  async tls () {
    const connection = await amqp.connect(`amqps://localhost:${h.tlsPort}`, { ca: [h.ca] })
    h.closers.push(() => connection.close())
    const ch = await channel(connection)
    const q = await ownQueue(ch)
    send(ch, q, 'x')
    assert.deepEqual(await bodies(ch, q, 1), ['x'])
  }
}

h.main(scenarios)
