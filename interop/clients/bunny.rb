# The scenarios with Bunny.

require "bunny"

HOST = "127.0.0.1".freeze
PORT = Integer(ENV.fetch("AMQP_PORT"))
TLS_PORT = Integer(ENV.fetch("AMQP_TLS_PORT"))
PATIENCE = 60
# How a scenario's own queue is declared, where it does not matter.
OWN = ENV.key?("AMQP_DURABLE") ? { durable: true } : { exclusive: true }
SCENARIOS = {} # rubocop:disable Style/MutableConstant

def scenario(name, &block)
  SCENARIOS[name] = block
end

def equal(got, want, what)
  raise "#{what}: expected #{want.inspect}, got #{got.inspect}" unless got == want
end

def connect(**options)
  connection = Bunny.new({ host: HOST, port: PORT, log_level: :fatal, heartbeat: 0 }.merge(options))
  connection.start
end

def connected(**options)
  connection = connect(**options)
  yield connection
ensure
  connection&.close
end

def name
  @number = (@number || 0) + 1
  "interop.#{@number}"
end

def eventually(seconds = PATIENCE)
  deadline = Time.now + seconds
  loop do
    value = yield
    return value if value || Time.now > deadline
    sleep 0.01
  end
end

def get(queue, **options)
  eventually { (got = queue.pop(**options))[0] && got }
end

def bodies(queue, count)
  Array.new(count) { get(queue)[2] }
end

def pattern(size)
  block = Array.new(65_537) { |at| (at * 7 + at / 256) % 256 }.pack("C*")
  (block * (size / block.bytesize + 1)).byteslice(0, size)
end

# The code and text with which the broker closes the channel.
def closed
  yield
  raise "the channel was not closed"
rescue Bunny::ChannelLevelException => e
  [e.channel_close.reply_code, e.channel_close.reply_text]
end

scenario "login" do
  connection = connect
  equal connection.server_properties["product"], "RabbitMQ", "product"
  equal connection.create_channel.open?, true, "channel"
  connection.close
  equal connection.closed?, true, "closed"
end

scenario "wrong-password" do
  begin
    connect(password: "wrong")
    raise "not refused"
  rescue Bunny::AuthenticationFailureError => e
    equal e.username, "guest", "who was refused"
  end
end

scenario "heartbeats" do
  connected(heartbeat: 1) do |connection|
    sleep 3
    connection.create_channel.queue("", **OWN)
  end
end

scenario "properties" do
  connected do |connection|
    q = connection.create_channel.queue("", **OWN)
    want = { content_type: "text/plain", content_encoding: "utf-8", delivery_mode: 2, priority: 7,
             correlation_id: "c-1", reply_to: "answers", expiration: "60000", message_id: "m-1",
             timestamp: 1_715_000_000, type: "kind", user_id: "guest", app_id: "interop" }
    q.publish("\xff\0".b, **want)
    _, properties, body = get(q)
    equal properties.to_h.merge(timestamp: properties.timestamp.to_i), want, "properties"
    equal body.b, "\xff\0".b, "body"
  end
end

scenario "headers" do
  connected do |connection|
    q = connection.create_channel.queue("", **OWN)
    want = { "bool" => true, "int" => -7, "long" => 2**40, "double" => 1.5, "string" => "\xc3\xa9".b,
             "time" => Time.at(1_715_000_000), "table" => { "deep" => { "er" => 1 } },
             "array" => [1, "two", [3]], "void" => nil }
    q.publish("x", headers: want)
    equal get(q)[1].headers, want, "headers"
  end
end

scenario "confirms" do
  connected do |connection|
    ch = connection.create_channel
    q = ch.queue("", **OWN)
    ch.confirm_select
    500.times { |number| q.publish(number.to_s) }
    equal ch.wait_for_confirms, true, "all confirmed"
    equal q.message_count, 500, "messages"
  end
end

scenario "mandatory" do
  connected do |connection|
    seen = Queue.new
    x = connection.create_channel.direct("amq.direct", durable: true)
    x.on_return { |*returned| seen << returned }
    x.publish("back", routing_key: name, mandatory: true, message_id: "m")
    how, properties, body = seen.pop
    equal [how.reply_code, how.reply_text, how.exchange, properties.message_id, body],
          [312, "NO_ROUTE", "amq.direct", "m", "back"], "return"
  end
end

scenario "prefetch" do
  connected do |connection|
    ch = connection.create_channel
    q = ch.queue("", **OWN)
    seen = []
    10.times { |number| q.publish(number.to_s) }
    ch.prefetch(3)
    q.subscribe(manual_ack: true) { |delivery, _, body| seen << [delivery.delivery_tag, body] }
    eventually { seen.size >= 3 }
    eventually(0.3) { seen.size > 3 }
    equal seen.size, 3, "before an ack"
    ch.ack(seen[-1][0], true)
    eventually { seen.size >= 6 }
    eventually(0.3) { seen.size > 6 }
    equal seen.map(&:last), %w[0 1 2 3 4 5], "after the ack"
  end
end

scenario "acks" do
  connected do |connection|
    ch = connection.create_channel
    q = ch.queue("", **OWN)
    5.times { |number| q.publish(number.to_s) }
    tags = Array.new(5) { get(q, manual_ack: true)[0].delivery_tag }
    ch.ack(tags[0])
    ch.reject(tags[1])
    ch.reject(tags[2], true)
    ch.nack(tags[4], true, true)
    again = Array.new(3) { get(q) }.map { |delivery, _, body| [body, delivery.redelivered?] }
    equal again, [["2", true], ["3", true], ["4", true]], "what came again"
    equal q.pop[2], nil, "end"
  end
end

scenario "dead-letter" do
  connected do |connection|
    ch = connection.create_channel
    dead = ch.queue("", **OWN)
    q = ch.queue("", **OWN, arguments: { "x-dead-letter-exchange" => "",
                                                   "x-dead-letter-routing-key" => dead.name })
    q.publish("ill", headers: { "own" => 1 })
    ch.reject(get(q, manual_ack: true)[0].delivery_tag)
    _, properties, body = get(dead)
    headers = properties.headers
    equal headers["x-death"].map { |death| death.reject { |key, _| key == "time" } },
          [{ "count" => 1, "reason" => "rejected", "queue" => q.name, "exchange" => "",
             "routing-keys" => [q.name] }], "x-death"
    equal headers["x-death"][0]["time"].class, Time, "time"
    equal %w[reason queue exchange].map { |key| headers["x-first-death-#{key}"] },
          ["rejected", q.name, ""], "first death"
    equal [body, headers["own"]], ["ill", 1], "message"
  end
end

scenario "transactions" do
  connected do |connection|
    ch = connection.create_channel
    other = connection.create_channel
    q = ch.queue("", **OWN)
    seen = other.queue(q.name, passive: true)
    ch.tx_select
    q.publish("1")
    equal seen.message_count, 0, "before the commit"
    ch.tx_commit
    q.publish("2")
    ch.ack(get(q, manual_ack: true)[0].delivery_tag)
    ch.tx_rollback
    ch.close
    equal [get(seen)[2], seen.pop[2]], ["1", nil], "after the rollback"
  end
end

def check_kind(channel, kind, binding, hit, miss)
  x = channel.exchange(name, type: kind, auto_delete: true)
  y = channel.fanout(name, auto_delete: true)
  q = channel.queue("", **OWN).bind(x, routing_key: binding)
  x.bind(y)
  x.publish("in", routing_key: hit)
  x.publish("out", routing_key: miss) if miss
  y.publish("through", routing_key: hit)
  x.unbind(y)
  q.unbind(x, routing_key: binding)
  q.publish("end")
  equal bodies(q, 3), %w[in through end], kind
end

scenario "exchanges" do
  connected do |connection|
    ch = connection.create_channel
    check_kind(ch, "direct", "k", "k", "l")
    check_kind(ch, "topic", "a.*.#", "a.b.c", "b.a")
    check_kind(ch, "fanout", "", "any", nil)
    x = ch.headers("amq.headers", durable: true)
    q = ch.queue("", **OWN)
    q.bind(x, arguments: { "x-match" => "all", "a" => 1, "b" => "two" })
    x.publish("both", headers: { "a" => 1, "b" => "two" })
    x.publish("one", headers: { "a" => 1 })
    q.publish("end")
    equal bodies(q, 2), %w[both end], "headers"
  end
end

scenario "queues" do
  connected do |connection|
    owner = connect
    q = owner.create_channel.queue("", exclusive: true).name
    equal q.start_with?("amq.gen-"), true, q
    equal closed { connection.create_channel.queue(q, passive: true) }[0], 405, "locked"
    owner.close
    equal closed { connection.create_channel.queue(q, passive: true) },
          [404, "NOT_FOUND - no queue '#{q}' in vhost '/'"], "gone"
  end
end

scenario "cancel-notify" do
  connected do |connection|
    ch = connection.create_channel
    q = ch.queue("", **OWN)
    seen = Queue.new
    consumer = Bunny::Consumer.new(ch, q)
    consumer.on_cancellation { |cancel| seen << cancel.consumer_tag }
    q.subscribe_with(consumer)
    connection.create_channel.queue_delete(q.name)
    equal seen.pop, consumer.consumer_tag, "cancelled"
  end
end

scenario "channel-error" do
  connected do |connection|
    missing = name
    equal closed { connection.create_channel.queue(missing, passive: true) },
          [404, "NOT_FOUND - no queue '#{missing}' in vhost '/'"], "404"
    ch = connection.create_channel
    ch.direct(missing)
    equal closed { ch.exchange_declare(missing, "fanout") },
          [406, "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '#{missing}' in vhost " \
                "'/': received 'fanout' but current is 'direct'"], "406"
    again = connection.create_channel
    again.exchange_delete(missing)
    q = again.queue("", **OWN)
    q.publish("x")
    equal bodies(q, 1), ["x"], "on a new channel"
  end
end

scenario "large-body" do
  connected do |connection|
    q = connection.create_channel.queue("", **OWN)
    body = pattern(20_000_000)
    seen = Queue.new
    q.subscribe { |_, _, got| seen << got }
    q.publish(body)
    equal seen.pop.b == body, true, "the body is the same"
  end
end

def restart_broker
  puts "restart"
  equal $stdin.gets.chomp, "restarted", "the matrix's answer"
end

scenario "recovery" do
  connected(network_recovery_interval: 0.2) do |connection|
    ch = connection.create_channel
    kept = ch.queue(name, durable: true)
    q = ch.queue(name, durable: true)
    seen = []
    q.subscribe { |_, _, body| seen << body }
    ch.confirm_select
    20.times { |number| kept.publish(number.to_s, persistent: true) }
    equal ch.wait_for_confirms, true, "all confirmed"
    q.publish("first", persistent: false)
    eventually { seen.size == 1 }
    restart_broker
    connected { |other| other.create_channel.default_exchange.publish("last", routing_key: q.name) }
    eventually { seen.size == 2 }
    equal seen, %w[first last], "what the consumer saw"
    equal bodies(kept, 20), Array.new(20, &:to_s), "what was kept"
    kept.delete
    q.delete
  end
end

# A program that connects again when its connection has ended, and does again what was not done then.
class Program
  attr_reader :connection, :confirmed, :wrong

  # Whom the library tells that a connection was lost, by an exception where it is not waited for.
  class Deaf
    def raise(*); end
  end

  def initialize(queue)
    @name = queue
    @attempts = 0
    @confirmed = []
    @seen = {}
    @new = {}
    @wrong = []
  end

  def open
    @connection = connect(automatic_recovery: false, session_error_handler: Deaf.new)
    @channel = @connection.create_channel
    @acked = acked = []
    @channel.confirm_select(->(tag, multiple, nack) { acked << [tag, multiple, nack] })
    @queue = @channel.queue(@name, durable: true)
  end

  def insist
    open unless @connection
    raise IOError, "lost" unless @connection.open?
    yield
  rescue Bunny::Exception, SystemCallError, IOError, Timeout::Error
    @connection = nil
    sleep 0.05
    retry
  end

  def publish(number)
    insist do
      body = "#{number}.#{@attempts += 1}"
      tag = @channel.next_publish_seq_no
      @queue.publish(body, persistent: true, mandatory: true)
      eventually { !@connection.open? || confirmed?(tag) }
      raise IOError, "it was not confirmed" unless confirmed?(tag)
      @confirmed << body
    end
  end

  def confirmed?(tag)
    @acked.any? { |acked, multiple, nack| !nack && (acked == tag || (multiple && acked > tag)) }
  end

  # The tag of a message, if there is one.
  def take
    info, _, body = @queue.pop(manual_ack: true)
    return unless info
    @wrong << body if @new[body] && !info.redelivered?
    @seen[body] = true
    @new[body] ||= !info.redelivered?
    info.delivery_tag
  end

  def take_and_ack
    insist do
      tag = take
      @channel.ack(tag) if tag
    end
  end

  def lost
    @confirmed.reject { |body| @seen[body] }
  end

  def ack(tag)
    @channel.ack(tag, true)
  end

  def finish
    insist { @queue.delete }
    @connection.close
  end
end

scenario "failover" do
  program = Program.new(name)
  10.times { |number| program.publish(number) }
  first = program.connection
  held = Array.new(3) { program.take }
  puts "failover"
  equal $stdin.gets.chomp, "failing", "the matrix's answer"
  (10...200).each { |number| program.publish(number) }
  equal $stdin.gets.chomp, "restarted", "the matrix's answer"
  (200...210).each { |number| program.publish(number) }
  program.ack(held.last) if program.connection.equal?(first) && first.open?
  eventually do
    program.take_and_ack
    program.lost.empty?
  end
  equal program.wrong, [], "what came twice, and did not say so"
  equal [program.confirmed.size, program.lost], [210, []], "confirms, and what is lost"
  program.finish
end

scenario "reply-to" do
  connected do |connection|
    asker = connection.create_channel
    q = connection.create_channel.queue("", **OWN)
    answers = Queue.new
    asker.basic_consume("amq.rabbitmq.reply-to", "", true) do |_, properties, body|
      answers << [properties.correlation_id, body]
    end
    3.times do |number|
      asker.default_exchange.publish(number.to_s, routing_key: q.name, correlation_id: number.to_s,
                                                  reply_to: "amq.rabbitmq.reply-to")
      _, properties, body = get(q)
      q.channel.default_exchange.publish("#{body}!", routing_key: properties.reply_to,
                                                     correlation_id: properties.correlation_id)
    end
    equal Array.new(3) { answers.pop }, [%w[0 0!], %w[1 1!], %w[2 2!]], "answers"
  end
end

scenario "tls" do
  connected(host: "localhost", port: TLS_PORT, tls: true, verify_peer: true,
            tls_ca_certificates: [ENV.fetch("AMQP_CA")]) do |connection|
    q = connection.create_channel.queue("", **OWN)
    q.publish("x")
    equal bodies(q, 1), ["x"], "message"
  end
end

$stdout.sync = true
SCENARIOS.each_with_index do |(title, block), index|
  begin
    Timeout.timeout(2 * PATIENCE, &block)
    puts "ok #{index + 1} - #{title}"
  rescue StandardError, Timeout::Error => e
    puts "not ok #{index + 1} - #{title}", "# #{e.class}: #{e.message}", "# #{e.backtrace.first(5)}"
  end
end
puts "1..#{SCENARIOS.size}"
