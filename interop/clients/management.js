'use strict'
// One call of a library for the management API: management.js PORT LIBRARY NODE METHOD [ARGUMENT]...
// An argument that begins as JSON is JSON. What the library made of the answer is printed, in short:
// of a list what the items are called, of an object those fields that are the same everywhere.

const [port, library, node, method, ...words] = process.argv.slice(2)
const given = words.map((word) => /^[{[]/.test(word) ? JSON.parse(word) : word)
const NAMES = ['vhost', 'name', 'source', 'destination', 'routing_key', 'user', 'consumer_tag', 'payload']
const FIELDS = ['name', 'vhost', 'type', 'durable', 'auto_delete', 'arguments', 'tags', 'status',
  'configure', 'write', 'read', 'messages', 'messages_ready', 'consumers', 'consumer_count',
  'channels', 'running', 'node', 'rates_mode', 'object_totals', 'prefetch_count', 'protocol',
  'incoming', 'outgoing', 'result', 'tracing', 'description', 'policies', 'routed']

function called (item) {
  return NAMES.filter((key) => typeof item[key] === 'string').map((key) => item[key]).join(' ')
}

function brief (value) {
  if (Array.isArray(value)) return value.length + ' items\n' + value.map(called).sort().join('\n')
  if (value === null || typeof value !== 'object') return String(value)
  return FIELDS.filter((key) => key in value).map((key) => key + ' ' + JSON.stringify(value[key])).join('\n')
}

function tell (error, value) {
  console.log(error ? 'error: ' + String(error.message).split('\n')[0] : brief(value))
  process.exit(error ? 1 : 0)
}

const address = 'http://127.0.0.1:' + port
const callbacks = {
  'amqp-stats': () => {
    const Stats = require('amqp-stats')
    const client = new Stats({ hostname: '127.0.0.1:' + port, username: 'guest', password: 'guest' })
    client[method](...given, (error, _response, data) => tell(error, data))
  },
  'http-rabbitmq-manager': () => {
    const client = require('http-rabbitmq-manager').client({ host: '127.0.0.1', port: Number(port) })
    const takes = client[method].length
    client[method](...given.slice(0, takes - 1), ...Array(Math.max(0, takes - 1 - given.length)), tell)
  },
  'rabbitmq-stats': () => {
    const client = require('rabbitmq-stats')(address, 'guest', 'guest')
    client[method](...given).then((value) => tell(null, value), tell)
  }
}
if (!callbacks[library]) throw new Error('there is no library ' + library + ' for ' + node)
callbacks[library]()
