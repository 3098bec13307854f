<?php
// The scenarios with php-amqplib.

require_once '/usr/share/php/PhpAmqpLib/autoload.php';

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPSSLConnection;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPConnectionClosedException;
use PhpAmqpLib\Exception\AMQPExceptionInterface;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Exception\AMQPTimeoutException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPArray;
use PhpAmqpLib\Wire\AMQPTable;

const PATIENCE = 60;
// How a scenario's own queue is declared, where it does not matter: durable, or exclusive.
define('DURABLE', getenv('AMQP_DURABLE') !== false);

function equal($got, $want, string $what): void
{
    if ($got !== $want) {
        throw new Exception("$what: expected " . var_export($want, true) . ', got '
            . var_export($got, true));
    }
}

function connect(string $password = 'guest', int $heartbeat = 0): AMQPStreamConnection
{
    return new AMQPStreamConnection('127.0.0.1', (int) getenv('AMQP_PORT'), 'guest', $password, '/',
        false, 'AMQPLAIN', null, 'en_US', PATIENCE, PATIENCE, null, false, $heartbeat);
}

function name(): string
{
    static $number = 0;
    return 'interop.' . ++$number;
}

function ownQueue(AMQPChannel $channel, array $arguments = []): string
{
    return $channel->queue_declare('', false, DURABLE, !DURABLE, false, false,
        new AMQPTable($arguments))[0];
}

function send(AMQPChannel $channel, string $exchange, string $key, string $body,
    array $properties = []): void
{
    $channel->basic_publish(new AMQPMessage($body, $properties), $exchange, $key);
}

function get(AMQPChannel $channel, string $queue, bool $noAck = true): AMQPMessage
{
    for ($deadline = microtime(true) + PATIENCE; microtime(true) < $deadline; usleep(10000)) {
        $message = $channel->basic_get($queue, $noAck);
        if ($message !== null) {
            return $message;
        }
    }
    throw new Exception("there is no message in $queue");
}

function bodies(AMQPChannel $channel, string $queue, int $count): array
{
    return array_map(fn() => get($channel, $queue)->body, range(1, $count));
}

function ready(AMQPChannel $channel, string $queue): int
{
    return $channel->queue_declare($queue, true)[1];
}

// Takes what comes until that is done, or the time is over.
function drain(AMQPChannel $channel, callable $done, float $seconds = PATIENCE): void
{
    for ($deadline = microtime(true) + $seconds; !$done() && microtime(true) < $deadline;) {
        try {
            $channel->wait(null, false, 0.1);
        } catch (AMQPTimeoutException $nothing) {
        }
    }
}

// The code and text with which the broker closes the channel.
function closed(callable $function): array
{
    try {
        $function();
    } catch (AMQPProtocolChannelException $error) {
        return [$error->amqp_reply_code, $error->amqp_reply_text];
    }
    throw new Exception('the channel was not closed');
}

function notFound(string $queue): array
{
    return [404, "NOT_FOUND - no queue '$queue' in vhost '/'"];
}

$scenarios = [];

$scenarios['login'] = function () {
    $connection = connect();
    equal($connection->getServerProperties()['product'][1], 'RabbitMQ', 'product');
    equal($connection->channel()->is_open(), true, 'channel');
    $connection->close();
    equal($connection->isConnected(), false, 'connected');
};

$scenarios['wrong-password'] = function () {
    try {
        connect('wrong');
    } catch (AMQPConnectionClosedException $error) {
        equal(str_contains($error->getMessage(), 'ACCESS_REFUSED(403) - Login was refused')
            || str_contains($error->getMessage(), 'ACCESS_REFUSED - Login was refused'), true,
            $error->getMessage());
        return;
    }
    throw new Exception('not refused');
};

$scenarios['heartbeats'] = function () {
    $connection = connect('guest', 2);
    for ($deadline = microtime(true) + 5; microtime(true) < $deadline; usleep(250000)) {
        $connection->checkHeartBeat();
    }
    ownQueue($connection->channel());
    $connection->close();
};

$scenarios['properties'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $want = ['content_type' => 'text/plain', 'content_encoding' => 'utf-8', 'delivery_mode' => 2,
        'priority' => 7, 'correlation_id' => 'c-1', 'reply_to' => 'answers',
        'expiration' => '60000', 'message_id' => 'm-1', 'timestamp' => 1715000000,
        'type' => 'kind', 'user_id' => 'guest', 'app_id' => 'interop', 'cluster_id' => 'cluster'];
    send($channel, '', $queue, "\xff\0", $want);
    $message = get($channel, $queue);
    equal($message->get_properties(), $want, 'properties');
    equal($message->body, "\xff\0", 'body');
    $connection->close();
};

$scenarios['headers'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $want = ['bool' => true, 'int' => -7, 'long' => 1 << 40, 'string' => "\u{e9}",
        'time' => new DateTime('@1715000000'), 'table' => ['deep' => ['er' => 1]],
        'array' => [1, 'two', [3]], 'void' => null];
    send($channel, '', $queue, 'x', ['application_headers' => new AMQPTable($want)]);
    $got = get($channel, $queue)->get('application_headers')->getNativeData();
    equal($got['time']->getTimestamp(), 1715000000, 'time');
    unset($got['time'], $want['time']);
    equal($got, $want, 'headers');
    $connection->close();
};

$scenarios['confirms'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $acked = 0;
    $channel->set_ack_handler(function () use (&$acked) {
        $acked++;
    });
    $channel->confirm_select();
    for ($number = 0; $number < 500; $number++) {
        send($channel, '', $queue, (string) $number);
    }
    $channel->wait_for_pending_acks(PATIENCE);
    equal($acked, 500, 'confirms');
    equal(ready($channel, $queue), 500, 'messages');
    $connection->close();
};

$scenarios['mandatory'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $seen = [];
    $channel->set_return_listener(
        function ($code, $text, $exchange, $_key, $message) use (&$seen) {
            $seen[] = [$code, $text, $exchange, $message->get('message_id'), $message->body];
        });
    $channel->basic_publish(new AMQPMessage('back', ['message_id' => 'm']), 'amq.direct', name(),
        true);
    drain($channel, function () use (&$seen) {
        return $seen !== [];
    });
    equal($seen, [[312, 'NO_ROUTE', 'amq.direct', 'm', 'back']], 'returns');
    $connection->close();
};

$scenarios['prefetch'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $seen = [];
    for ($number = 0; $number < 10; $number++) {
        send($channel, '', $queue, "m$number");
    }
    $channel->basic_qos(0, 3, false);
    $channel->basic_consume($queue, '', false, false, false, false,
        function (AMQPMessage $message) use (&$seen) {
            $seen[] = $message;
        });
    $more = function (int $count) use (&$seen) {
        return function () use (&$seen, $count) {
            return count($seen) > $count;
        };
    };
    drain($channel, $more(2));
    drain($channel, $more(3), 0.3);
    equal(count($seen), 3, 'before an ack');
    $channel->basic_ack($seen[2]->getDeliveryTag(), true);
    drain($channel, $more(5));
    drain($channel, $more(6), 0.3);
    equal(array_map(fn($message) => $message->body, $seen), ['m0', 'm1', 'm2', 'm3', 'm4', 'm5'],
        'after the ack');
    $connection->close();
};

$scenarios['acks'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    for ($number = 0; $number < 5; $number++) {
        send($channel, '', $queue, "m$number");
    }
    $got = array_map(fn() => get($channel, $queue, false), range(0, 4));
    $got[0]->ack();
    $got[1]->reject(false);
    $got[2]->reject(true);
    $got[4]->nack(true, true);
    $again = array_map(function () use ($channel, $queue) {
        $message = get($channel, $queue);
        return [$message->body, (bool) $message->isRedelivered()];
    }, range(0, 2));
    equal($again, [['m2', true], ['m3', true], ['m4', true]], 'what came again');
    equal($channel->basic_get($queue), null, 'end');
    $connection->close();
};

$scenarios['dead-letter'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $dead = ownQueue($channel);
    $queue = ownQueue($channel,
        ['x-dead-letter-exchange' => '', 'x-dead-letter-routing-key' => $dead]);
    send($channel, '', $queue, 'ill', ['application_headers' => new AMQPTable(['own' => 1])]);
    get($channel, $queue, false)->reject(false);
    $message = get($channel, $dead);
    $headers = $message->get('application_headers')->getNativeData();
    equal(count($headers['x-death']), 1, 'entries');
    $death = $headers['x-death'][0];
    equal($death['time'] instanceof DateTime, true, 'time');
    unset($death['time']);
    ksort($death);
    equal($death, ['count' => 1, 'exchange' => '', 'queue' => $queue, 'reason' => 'rejected',
        'routing-keys' => [$queue]], 'x-death');
    equal([$headers['x-first-death-reason'], $headers['x-first-death-queue'],
        $headers['x-first-death-exchange']], ['rejected', $queue, ''], 'first death');
    equal([$message->body, $headers['own']], ['ill', 1], 'message');
    $connection->close();
};

$scenarios['transactions'] = function () {
    $connection = connect();
    [$channel, $other] = [$connection->channel(), $connection->channel()];
    $queue = ownQueue($channel);
    $channel->tx_select();
    send($channel, '', $queue, 'one');
    equal(ready($other, $queue), 0, 'before the commit');
    $channel->tx_commit();
    send($channel, '', $queue, 'two');
    get($channel, $queue, false)->ack();
    $channel->tx_rollback();
    $channel->close();
    equal(bodies($other, $queue, 1), ['one'], 'after the rollback');
    equal($other->basic_get($queue), null, 'end');
    $connection->close();
};

function checkKind(AMQPChannel $channel, string $kind, string $binding, string $hit,
    ?string $miss): void
{
    [$x, $y, $queue] = [name(), name(), ownQueue($channel)];
    $channel->exchange_declare($x, $kind);
    $channel->exchange_declare($y, 'fanout');
    $channel->queue_bind($queue, $x, $binding);
    $channel->exchange_bind($x, $y);
    send($channel, $x, $hit, 'in');
    if ($miss !== null) {
        send($channel, $x, $miss, 'out');
    }
    send($channel, $y, $hit, 'through');
    $channel->exchange_unbind($x, $y);
    $channel->queue_unbind($queue, $x, $binding);
    send($channel, '', $queue, 'end');
    equal(bodies($channel, $queue, 3), ['in', 'through', 'end'], $kind);
}

$scenarios['exchanges'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    checkKind($channel, 'direct', 'k', 'k', 'l');
    checkKind($channel, 'topic', 'a.*.#', 'a.b.c', 'b.a');
    checkKind($channel, 'fanout', '', 'any', null);
    $queue = ownQueue($channel);
    $channel->queue_bind($queue, 'amq.headers', '', false,
        new AMQPTable(['x-match' => 'all', 'a' => 1, 'b' => 'two']));
    foreach (['both' => ['a' => 1, 'b' => 'two'], 'one' => ['a' => 1]] as $body => $headers) {
        send($channel, 'amq.headers', '', $body,
            ['application_headers' => new AMQPTable($headers)]);
    }
    send($channel, '', $queue, 'end');
    equal(bodies($channel, $queue, 2), ['both', 'end'], 'headers');
    $connection->close();
};

$scenarios['queues'] = function () {
    [$owner, $connection] = [connect(), connect()];
    $queue = $owner->channel()->queue_declare('', false, false, true, false)[0];
    equal(str_starts_with($queue, 'amq.gen-'), true, $queue);
    equal(closed(fn() => ready($connection->channel(), $queue))[0], 405, 'locked');
    $owner->close();
    equal(closed(fn() => ready($connection->channel(), $queue)), notFound($queue), 'gone');
    $connection->close();
};

$scenarios['cancel-notify'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $tag = $channel->basic_consume($queue);
    $connection->channel()->queue_delete($queue);
    try {
        $channel->wait(null, false, PATIENCE);
    } catch (PhpAmqpLib\Exception\AMQPBasicCancelException $cancelled) {
        equal($cancelled->consumerTag, $tag, 'cancelled');
        $connection->close();
        return;
    }
    throw new Exception('not cancelled');
};

$scenarios['channel-error'] = function () {
    $connection = connect();
    $missing = name();
    equal(closed(fn() => ready($connection->channel(), $missing)), notFound($missing), '404');
    $channel = $connection->channel();
    $channel->exchange_declare($missing, 'direct', false, false, false);
    equal(closed(fn() => $channel->exchange_declare($missing, 'fanout', false, false, false)),
        [406, "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '$missing' in vhost '/': "
            . "received 'fanout' but current is 'direct'"], '406');
    $again = $connection->channel();
    $again->exchange_delete($missing);
    $queue = ownQueue($again);
    send($again, '', $queue, 'x');
    equal(bodies($again, $queue, 1), ['x'], 'on a new channel');
    $connection->close();
};

$scenarios['large-body'] = function () {
    $connection = connect();
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    $block = '';
    for ($at = 0; $at < 65537; $at++) {
        $block .= chr(($at * 7 + intdiv($at, 256)) % 256);
    }
    $body = substr(str_repeat($block, 306), 0, 20000000);
    $seen = [];
    $channel->basic_consume($queue, '', false, true, false, false,
        function (AMQPMessage $message) use (&$seen) {
            $seen[] = $message->body;
        });
    send($channel, '', $queue, $body);
    drain($channel, function () use (&$seen) {
        return $seen !== [];
    });
    equal(strlen($seen[0]), 20000000, 'size');
    equal($seen[0] === $body, true, 'the body is the same');
    $connection->close();
};

// A program that connects again when its connection has ended, and does again what was not done then.
class Program
{
    public $connection = null;
    public array $confirmed = [];
    private $channel = null;
    private string $queue;
    private int $attempts = 0;
    private array $acked = [];
    private array $seen = [];
    private array $new = [];

    public function __construct(string $queue)
    {
        $this->queue = $queue;
    }

    private function open(): void
    {
        $this->connection = connect();
        $this->channel = $this->connection->channel();
        $this->channel->set_ack_handler(function ($message) {
            $this->acked[] = $message->body;
        });
        $this->channel->confirm_select();
        $this->channel->queue_declare($this->queue, false, true, false, false);
    }

    public function insist(callable $step)
    {
        while (true) {
            try {
                if ($this->connection === null) {
                    $this->open();
                }
                return $step();
            } catch (AMQPExceptionInterface | ErrorException $lost) {
                $this->connection = null;
                usleep(50000);
            }
        }
    }

    public function publish(int $from, int $to): void
    {
        for ($number = $from; $number < $to; $number++) {
            $this->insist(function () use ($number) {
                $body = "$number." . ++$this->attempts;
                $this->acked = [];
                $this->channel->basic_publish(new AMQPMessage($body, ['delivery_mode' => 2]), '',
                    $this->queue, true);
                $this->channel->wait_for_pending_acks(PATIENCE);
                equal($this->acked, [$body], 'what is confirmed');
                $this->confirmed[] = $body;
            });
        }
    }

    // A message, if there is one.
    public function take(): ?AMQPMessage
    {
        $message = $this->channel->basic_get($this->queue);
        if ($message !== null) {
            $body = $message->body;
            $new = !$message->isRedelivered();
            equal($new && isset($this->new[$body]), false, "$body comes twice, and does not say so");
            $this->seen[$body] = true;
            if ($new) {
                $this->new[$body] = true;
            }
        }
        return $message;
    }

    public function takeAndAck(): void
    {
        $this->insist(function () {
            $message = $this->take();
            if ($message !== null) {
                $message->ack();
            }
        });
    }

    public function lost(): array
    {
        return array_values(array_filter($this->confirmed, fn($body) => !isset($this->seen[$body])));
    }

    public function finish(): void
    {
        $this->insist(fn() => $this->channel->queue_delete($this->queue));
        $this->connection->close();
    }
}

$scenarios['failover'] = function () {
    $program = new Program(name());
    $program->publish(0, 10);
    $first = $program->connection;
    for ($number = 0; $number < 3; $number++) {
        $held = $program->take();
    }
    echo "failover\n";
    equal(fgets(STDIN), "failing\n", "the matrix's answer");
    $program->publish(10, 200);
    equal(fgets(STDIN), "restarted\n", "the matrix's answer");
    $program->publish(200, 210);
    if ($program->connection === $first) {
        $held->ack(true);
    }
    for ($end = microtime(true) + PATIENCE; $program->lost() !== [] && microtime(true) < $end;) {
        $program->takeAndAck();
    }
    equal([count($program->confirmed), $program->lost()], [210, []], 'confirms, and what is lost');
    $program->finish();
};

$scenarios['reply-to'] = function () {
    $connection = connect();
    [$asker, $server] = [$connection->channel(), $connection->channel()];
    $queue = ownQueue($server);
    $answers = [];
    $asker->basic_consume('amq.rabbitmq.reply-to', '', false, true, false, false,
        function (AMQPMessage $message) use (&$answers) {
            $answers[] = [$message->get('correlation_id'), $message->body];
        });
    for ($number = 0; $number < 3; $number++) {
        send($asker, '', $queue, "m$number",
            ['reply_to' => 'amq.rabbitmq.reply-to', 'correlation_id' => "c$number"]);
        $question = get($server, $queue);
        send($server, '', $question->get('reply_to'), $question->body . '!',
            ['correlation_id' => $question->get('correlation_id')]);
    }
    drain($asker, function () use (&$answers) {
        return count($answers) === 3;
    });
    equal($answers, [['c0', 'm0!'], ['c1', 'm1!'], ['c2', 'm2!']], 'answers');
    $connection->close();
};

$scenarios['tls'] = function () {
    $connection = new AMQPSSLConnection('localhost', (int) getenv('AMQP_TLS_PORT'), 'guest',
        'guest', '/', ['cafile' => getenv('AMQP_CA'), 'verify_peer' => true]);
    $channel = $connection->channel();
    $queue = ownQueue($channel);
    send($channel, '', $queue, 'x');
    equal(bodies($channel, $queue, 1), ['x'], 'message');
    $connection->close();
};

ini_set('memory_limit', '512M');
pcntl_async_signals(true);
pcntl_signal(SIGALRM, function () {
    throw new Exception('it took too long');
});
$number = 0;
foreach ($scenarios as $title => $run) {
    $number++;
    pcntl_alarm(2 * PATIENCE);
    try {
        $run();
        echo "ok $number - $title\n";
    } catch (Throwable $wrong) {
        $where = $wrong->getTraceAsString();
        echo "not ok $number - $title\n# ", get_class($wrong), ': ', $wrong->getMessage(), "\n";
        echo preg_replace('/^/m', '# ', $where), "\n";
    }
}
echo "1..$number\n";
