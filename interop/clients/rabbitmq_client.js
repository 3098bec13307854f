// The scenarios with rabbitmq-client.
'use strict'

const assert = require('node:assert/strict')
const { Connection } = require('rabbitmq-client')
const h = require('./node_harness.js')

// Waits until it is there.
const connect = async (options = {}) => {
  const connection = new Connection({
    hostname: '127.0.0.1', port: h.port, heartbeat: 0, retryLow: 100, retryHigh: 500, ...options
  })
  connection.on('error', () => {})
  h.closers.push(() => connection.close())
  await connection.onConnect(20000)
  return connection
}

const channel = async (connection) => {
  const ch = await connection.acquire()
  h.closers.unshift(() => ch.close())
  return ch
}

const ownQueue = async (ch, options) =>
  (await ch.queueDeclare({ ...h.own, ...options })).queue

const send = (ch, routingKey, body, options) => ch.basicPublish({ routingKey, ...options }, body)

const get = async (ch, queue, noAck = true) => {
  const message = await h.eventually(() => ch.basicGet({ queue, noAck }))
  assert.ok(message, `there is no message in ${queue}`)
  return message
}

const bodies = async (ch, queue, count) => {
  const got = []
  while (got.length < count) got.push(String((await get(ch, queue)).body))
  return got
}

const consume = (ch, queue, seen, options) =>
  ch.basicConsume({ queue, ...options }, (message) => seen.push(message))

const scenarios = {
  async login () {
    const connection = await connect()
    assert.ok(connection.ready)
    await (await channel(connection)).close()
    await connection.close()
  },

  async 'wrong-password' () {
    const connection = new Connection({
      hostname: '127.0.0.1', port: h.port, username: 'guest', password: 'wrong'
    })
    const errors = []
    connection.on('error', (error) => errors.push(error))
    await h.eventually(() => errors.length)
    await connection.close()
    assert.equal(errors[0].code, 'ACCESS_REFUSED')
    assert.ok(errors[0].message.includes('ACCESS_REFUSED - Login was refused'), errors[0].message)
  },

  async heartbeats () {
    const connection = await connect({ heartbeat: 1 })
    let lost = false
    connection.on('error', () => { lost = true })
    await h.sleep(3000)
    await ownQueue(await channel(connection))
    assert.ok(!lost, 'the connection was lost')
  },

  async properties () {
    const ch = await channel(await connect())
    const q = await ownQueue(ch)
    const want = {
      contentType: 'text/plain', contentEncoding: 'utf-8', durable: true, priority: 7,
      correlationId: 'c-1', replyTo: 'answers', expiration: '60000', messageId: 'm-1',
      timestamp: 1715000000, type: 'kind', userId: 'guest', appId: 'interop', clusterId: 'cluster'
    }
    await send(ch, q, Buffer.from([255, 0]), { ...want, contentType: 'text/plain' })
    const got = await get(ch, q)
    assert.deepEqual(Object.fromEntries(Object.keys(want).map((key) => [key, got[key]])), want)
  },

  async headers () {
    const ch = await channel(await connect())
    const q = await ownQueue(ch)
    const headers = {
      bool: true, int: -7, long: 2 ** 40, double: 1.5, string: '\u00e9',
      table: { deep: { er: 1 } }, array: [1, 'two', [3]], void: null
    }
    await send(ch, q, 'x', { headers })
    assert.deepEqual((await get(ch, q)).headers, headers)
  },

  async confirms () {
    const ch = await channel(await connect())
    const q = await ownQueue(ch)
    await ch.confirmSelect()
    await Promise.all(Array.from({ length: 500 }, () => send(ch, q, 'x')))
    assert.equal((await ch.queueDeclare({ queue: q, passive: true })).messageCount, 500)
  },

  async mandatory () {
    const ch = await channel(await connect())
    const returned = new Promise((resolve) => ch.once('basic.return', resolve))
    await send(ch, h.name(), 'back', { exchange: 'amq.direct', mandatory: true, messageId: 'm' })
    const message = await returned
    assert.deepEqual([message.replyCode, message.replyText, message.exchange, message.messageId,
      String(message.body)], [312, 'NO_ROUTE', 'amq.direct', 'm', 'back'])
  },

  async prefetch () {
    const ch = await channel(await connect())
    const [q, seen] = [await ownQueue(ch), []]
    for (let number = 0; number < 10; number++) await send(ch, q, String(number))
    await ch.basicQos({ prefetchCount: 3 })
    await consume(ch, q, seen)
    await h.eventually(() => seen.length >= 3)
    await h.eventually(() => seen.length > 3, 300)
    assert.equal(seen.length, 3)
    ch.basicAck({ deliveryTag: seen[2].deliveryTag, multiple: true })
    await h.eventually(() => seen.length >= 6)
    await h.eventually(() => seen.length > 6, 300)
    assert.deepEqual(seen.map((message) => String(message.body)), ['0', '1', '2', '3', '4', '5'])
  },

  async acks () {
    const ch = await channel(await connect())
    const [q, tags, again] = [await ownQueue(ch), [], []]
    for (let number = 0; number < 5; number++) await send(ch, q, String(number))
    while (tags.length < 5) tags.push((await get(ch, q, false)).deliveryTag)
    ch.basicAck({ deliveryTag: tags[0] })
    ch.basicNack({ deliveryTag: tags[1], requeue: false })
    ch.basicNack({ deliveryTag: tags[2], requeue: true })
    ch.basicNack({ deliveryTag: tags[4], multiple: true, requeue: true })
    while (again.length < 3) again.push(await get(ch, q))
    assert.deepEqual(again.map((message) => [String(message.body), message.redelivered]),
      [['2', true], ['3', true], ['4', true]])
    assert.equal(await ch.basicGet(q), undefined)
  },

  async 'dead-letter' () {
    const ch = await channel(await connect())
    const dead = await ownQueue(ch)
    const q = await ownQueue(ch, {
      arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dead }
    })
    await send(ch, q, 'ill', { headers: { own: 1 } })
    ch.basicNack({ deliveryTag: (await get(ch, q, false)).deliveryTag, requeue: false })
    const { headers, body } = await get(ch, dead)
    h.checkDeath(headers, q)
    assert.deepEqual([String(body), headers.own], ['ill', 1])
  },

  async transactions () {
    const connection = await connect()
    const [ch, other] = [await channel(connection), await channel(connection)]
    const q = await ownQueue(ch)
    await ch.txSelect()
    await send(ch, q, '1')
    assert.equal((await other.queueDeclare({ queue: q, passive: true })).messageCount, 0)
    await ch.txCommit()
    await send(ch, q, '2')
    ch.basicAck({ deliveryTag: (await get(ch, q, false)).deliveryTag })
    await ch.txRollback()
    await ch.close()
    assert.deepEqual(await bodies(other, q, 1), ['1'])
    assert.equal(await other.basicGet(q), undefined)
  },

  async exchanges () {
    const ch = await channel(await connect())
    for (const [type, routingKey, hit, miss] of [['direct', 'k', 'k', 'l'],
      ['topic', 'a.*.#', 'a.b.c', 'b.a'], ['fanout', '', 'any', null]]) {
      const [x, y, q] = [h.name(), h.name(), await ownQueue(ch)]
      await ch.exchangeDeclare({ exchange: x, type, autoDelete: true })
      await ch.exchangeDeclare({ exchange: y, type: 'fanout', autoDelete: true })
      await ch.queueBind({ queue: q, exchange: x, routingKey })
      await ch.exchangeBind({ destination: x, source: y })
      await send(ch, hit, 'in', { exchange: x })
      if (miss) await send(ch, miss, 'out', { exchange: x })
      await send(ch, hit, 'through', { exchange: y })
      await ch.exchangeUnbind({ destination: x, source: y })
      await ch.queueUnbind({ queue: q, exchange: x, routingKey })
      await send(ch, q, 'end')
      assert.deepEqual(await bodies(ch, q, 3), ['in', 'through', 'end'])
    }
    const [q, exchange] = [await ownQueue(ch), 'amq.headers']
    await ch.queueBind({ queue: q, exchange, arguments: { 'x-match': 'all', a: 1, b: 'two' } })
    await send(ch, '', 'both', { exchange, headers: { a: 1, b: 'two' } })
    await send(ch, '', 'one', { exchange, headers: { a: 1 } })
    await send(ch, q, 'end')
    assert.deepEqual(await bodies(ch, q, 2), ['both', 'end'])
  },

  async queues () {
    const [owner, connection] = [await connect(), await connect()]
    const mine = await owner.acquire()
    const { queue: q } = await mine.queueDeclare({ exclusive: true })
    assert.ok(q.startsWith('amq.gen-'), q)
    const passive = async () =>
      (await channel(connection)).queueDeclare({ queue: q, passive: true })
    await h.refused(passive(), 'RESOURCE_LOCKED', q)
    await mine.close()
    await owner.close()
    await h.refused(passive(), 'NOT_FOUND', h.notFound(q))
  },

  async 'cancel-notify' () {
    const connection = await connect()
    const ch = await channel(connection)
    const q = await ownQueue(ch)
    const cancelled = new Promise((resolve) => ch.once('basic.cancel', (...said) => resolve(said)))
    const { consumerTag } = await consume(ch, q, [])
    await (await channel(connection)).queueDelete(q)
    assert.equal((await cancelled)[0], consumerTag)
  },

  async 'channel-error' () {
    const connection = await connect()
    const missing = h.name()
    await h.refused((await channel(connection)).queueDeclare({ queue: missing, passive: true }),
      'NOT_FOUND', h.notFound(missing))
    const ch = await channel(connection)
    await ch.exchangeDeclare({ exchange: missing, type: 'direct', durable: false })
    await h.refused(ch.exchangeDeclare({ exchange: missing, type: 'fanout', durable: false }),
      'PRECONDITION_FAILED', h.inequivalent(missing))
    const again = await channel(connection)
    await again.exchangeDelete({ exchange: missing })
    const q = await ownQueue(again)
    await send(again, q, 'x')
    assert.deepEqual(await bodies(again, q, 1), ['x'])
  },

  async 'large-body' () {
    const ch = await channel(await connect())
    const [q, seen, body] = [await ownQueue(ch), [], h.pattern(20000000)]
    await consume(ch, q, seen, { noAck: true })
    await send(ch, q, body)
    await h.eventually(() => seen.length)
    assert.ok(seen[0].body.equals(body), 'the body is the same')
  },

  async recovery () {
    const connection = await connect()
    const [kept, queue, seen] = [h.name(), h.name(), []]
    await connection.queueDeclare({ queue: kept, durable: true })
    await connection.queueDeclare({ queue, durable: true })
    const publisher = connection.createPublisher({ confirm: true })
    for (let number = 0; number < 20; number++) {
      await publisher.send({ routingKey: kept, durable: true }, String(number))
    }
    const consumer = connection.createConsumer({ queue, queueOptions: { durable: true } }, (message) => {
      seen.push(String(message.body))
    })
    consumer.on('error', () => {})
    await publisher.send(queue, 'first')
    await h.eventually(() => seen.length === 1)
    await h.restartBroker()
    await h.eventually(() => publisher.send(queue, 'last').then(() => true, () => false))
    await h.eventually(() => seen.length > 1)
    assert.deepEqual(seen, ['first', 'last'])
    const got = []
    while (got.length < 20) got.push(String((await connection.basicGet({ queue: kept, noAck: true })).body))
    assert.deepEqual(got, Array.from({ length: 20 }, (_, number) => String(number)))
    await publisher.close()
    await consumer.close()
    await connection.queueDelete(kept)
    await connection.queueDelete(queue)
  },

  async failover () {
    const [queue, connection] = [h.name(), await connect()]
    await h.failover({
      open: async () => {
        const ch = await connection.acquire()
        ch.on('error', () => {})
        await ch.confirmSelect()
        await ch.queueDeclare({ queue, durable: true })
        return ch
      },
      publish: (ch, body) => send(ch, queue, body, { durable: true, mandatory: true }),
      get: async (ch) => {
        const message = await ch.basicGet({ queue, noAck: false })
        return message && { ...message, body: String(message.body) }
      },
      ack: (ch, { deliveryTag }, multiple) => ch.basicAck({ deliveryTag, multiple }),
      remove: (ch) => ch.queueDelete(queue).then(() => ch.close())
    })
  },

  async 'reply-to' () {
    const connection = await connect()
    const queue = h.name()
    const server = connection.createConsumer(
      { queue, queueOptions: { exclusive: true } }, (message, reply) => reply(`${message.body}!`))
    await new Promise((resolve) => server.once('ready', resolve))
    const asker = connection.createRPCClient({ confirm: true })
    const answers = await Promise.all(['0', '1', '2'].map((body) => asker.send(queue, body)))
    assert.deepEqual(answers.map((answer) => String(answer.body)), ['0!', '1!', '2!'])
    await asker.close()
    await server.close()
  },

  async tls () {
    const connection = await connect({ hostname: 'localhost', port: h.tlsPort, tls: { ca: h.ca } })
    const ch = await channel(connection)
    const q = await ownQueue(ch)
    await send(ch, q, 'x')
    assert.deepEqual(await bodies(ch, q, 1), ['x'])
  }
}

h.main(scenarios)
