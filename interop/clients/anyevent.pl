# The scenarios with AnyEvent::RabbitMQ.

use strict;
use warnings;

use AnyEvent;
use AnyEvent::RabbitMQ;

use constant PATIENCE => 60;
use constant ADDRESS  => 'amq.rabbitmq.reply-to';

# How a scenario's own queue is declared, where it does not matter.
my @own = exists $ENV{AMQP_DURABLE} ? (durable => 1, auto_delete => 0) : (exclusive => 1);
my $names = 0;

sub name { return 'interop.' . ++$names }

# Tables are written with their keys in order, so that they can be compared.
sub shown {
    my ($value) = @_;
    return 'nothing' if !defined $value;
    return '{' . join(',', map { "$_=" . shown($value->{$_}) } sort keys %$value) . '}'
        if ref $value eq 'HASH';
    return '[' . join(',', map { shown($_) } @$value) . ']' if ref $value eq 'ARRAY';
    return "$value";
}

sub equal {
    my ($got, $want, $what) = @_;
    ($got, $want) = (shown($got), shown($want));
    die "$what: expected $want, got $got\n" if $got ne $want;
    return;
}

# Lets events come until that is true, or the time is over.
sub eventually {
    my ($condition, $seconds) = @_;
    my $end = AE::time() + ($seconds // PATIENCE);
    while (!$condition->() && AE::time() < $end) {
        my $tick = AE::cv();
        my $timer = AE::timer(0.01, 0, $tick);
        $tick->recv;
    }
    return;
}

# Calls a method that tells its end by callbacks, and returns what it succeeds with.
sub done {
    my ($object, $method, %arguments) = @_;
    my $end = AE::cv();
    my $timer = AE::timer(PATIENCE, 0, sub { $end->croak("$method: nothing came\n") });
    $object->$method(
        %arguments,
        on_success => sub { $end->send(@_) },
        on_failure => sub { $end->croak(join(' ', map { said($_) } @_) . "\n") },
    );
    return $end->recv;
}

# The code and text of a close, or what else the client says.
sub said {
    my ($what) = @_;
    my $frame = ref $what && $what->can('method_frame') ? $what->method_frame : $what;
    return ref $frame && $frame->can('reply_code')
        ? $frame->reply_code . ' ' . $frame->reply_text : "$what";
}

my @connections;

sub connection {
    my (%options) = @_;
    my $connection = done(
        AnyEvent::RabbitMQ->new->load_xml_spec, 'connect',
        host => '127.0.0.1', port => $ENV{AMQP_PORT}, vhost => '/',
        user => 'guest', pass => 'guest',
        timeout => PATIENCE, on_close => sub { }, on_read_failure => sub { }, on_return => sub { },
        %options,
    );
    push @connections, $connection;
    return $connection;
}

my $closed;    # what the broker said when it closed a channel

sub channel {
    my ($connection) = @_;
    return done($connection, 'open_channel', on_close => sub { $closed = shift });
}

sub own_queue {
    my ($channel, %options) = @_;
    return done($channel, 'declare_queue', queue => '', @own, %options)
        ->method_frame->queue;
}

sub ready {
    my ($channel, $queue) = @_;
    return done($channel, 'declare_queue', queue => $queue, passive => 1)->method_frame
        ->message_count;
}

sub post {
    my ($channel, $exchange, $key, $body, %options) = @_;
    $channel->publish(exchange => $exchange, routing_key => $key, body => $body, %options);
    return;
}

# The message that is there or will be in a moment.
sub get {
    my ($channel, $queue, $no_ack) = @_;
    my $got;
    eventually(sub {
        $got = done($channel, 'get', queue => $queue, no_ack => $no_ack // 1);
        return !$got->{empty};
    });
    die "there is no message in $queue\n" if $got->{empty};
    return $got;
}

sub payload { return $_[0]{body}->payload }

sub tag { return ($_[0]{ok} // $_[0]{deliver})->method_frame->delivery_tag }

sub bodies {
    my ($channel, $queue, $count) = @_;
    return [map { payload(get($channel, $queue)) } 1 .. $count];
}

sub refused {
    my ($call, $want) = @_;
    die "not refused\n" if eval { $call->(); 1 };
    my $error = $closed ? said($closed) : $@;
    $closed = undef;
    die "expected $want, got $error\n" if index($error, $want) < 0;
    return;
}

# A program that connects again when its connection has ended, and does again what was not done then.
sub insist {
    my ($program, $step) = @_;
    while (1) {
        return if eval {
            open_program($program) if !$program->{channel} || $program->{lost};
            $step->();
            1;
        };
        die $@ if $@ =~ /comes twice/;
        $program->{channel} = undef;
        eventually(sub { 0 }, 0.05);
    }
}

sub open_program {
    my ($program) = @_;
    my $lost = \my $is_lost;
    my $gone = sub { $$lost = 1; $program->{lost} = 1 if $program->{is} == $lost };
    ($program->{is}, $program->{lost}) = ($lost, 0);
    my $connection = connection(timeout => 2, on_close => $gone, on_read_failure => $gone);
    my $channel = done($connection, 'open_channel', on_close => $gone);
    done($channel, 'confirm');
    done($channel, 'declare_queue', queue => $program->{queue}, durable => 1, auto_delete => 0);
    $program->{channel} = $channel;
    return;
}

# Waits for that, or for the end of the connection, and dies then.
sub await {
    my ($program, $condition) = @_;
    eventually(sub { $condition->() || $program->{lost} });
    die "lost\n" if !$condition->();
    return;
}

sub publish_surely {
    my ($program, $number) = @_;
    insist($program, sub {
        my ($body, $acked) = ("$number." . ++$program->{attempts});
        post($program->{channel}, '', $program->{queue}, $body, mandatory => 1,
            header => { delivery_mode => 2 }, on_ack => sub { $acked = 1 });
        await($program, sub { $acked });
        push @{ $program->{confirmed} }, $body;
    });
    return;
}

# A message, if there is one.
sub take {
    my ($program) = @_;
    my $got;
    $program->{channel}->get(queue => $program->{queue}, no_ack => 0, on_success => sub { $got = shift });
    await($program, sub { $got });
    return if $got->{empty};
    my ($body, $new) = (payload($got), !$got->{ok}->method_frame->redelivered);
    die "$body comes twice, and does not say so\n" if $new && $program->{new}{$body};
    $program->{seen}{$body} = 1;
    $program->{new}{$body} = 1 if $new;
    return $got;
}

sub missing {
    my ($program) = @_;
    return scalar grep { !$program->{seen}{$_} } @{ $program->{confirmed} };
}

my @scenarios = (
    'login' => sub {
        my $connection = connection();
        equal($connection->server_properties->{product}, 'RabbitMQ', 'product');
        done(channel($connection), 'close');
        done($connection, 'close');
    },

    'heartbeats' => sub {
        my $connection = connection(tune => { heartbeat => 1 });
        eventually(sub { 0 }, 3);
        own_queue(channel($connection));
    },

    'properties' => sub {
        my $channel = channel(connection());
        my $queue = own_queue($channel);
        my %want = (
            content_type => 'text/plain', content_encoding => 'utf-8', delivery_mode => 2,
            priority => 7, correlation_id => 'c-1', reply_to => 'answers', expiration => '60000',
            message_id => 'm-1', timestamp => 1_715_000_000, type => 'kind', user_id => 'guest',
            app_id => 'interop',
        );
        post($channel, '', $queue, "\xff\0", header => {%want});
        my $got = get($channel, $queue);
        equal({ map { $_ => $got->{header}->$_ } keys %want }, \%want, 'properties');
        equal(payload($got), "\xff\0", 'body');
    },

    'headers' => sub {
        my $channel = channel(connection());
        my $queue = own_queue($channel);
        my %want = (string => "\xc3\xa9", table => { deep => { er => 'x' } },
            array => ['one', ['two']]);
        post($channel, '', $queue, 'x', header => { headers => {%want} });
        equal(get($channel, $queue)->{header}->headers, \%want, 'headers');
    },

    'confirms' => sub {
        my $channel = channel(connection());
        my ($queue, $acked) = (own_queue($channel), 0);
        done($channel, 'confirm');
        post($channel, '', $queue, 'x', on_ack => sub { $acked++ }) for 1 .. 500;
        eventually(sub { $acked == 500 });
        equal([$acked, ready($channel, $queue)], [500, 500], 'confirms and messages');
    },

    'mandatory' => sub {
        my $channel = channel(connection());
        my $back;
        done($channel, 'confirm');
        post($channel, 'amq.direct', name(), 'back', mandatory => 1,
            header => { message_id => 'm' }, on_return => sub { $back = shift });
        eventually(sub { $back });
        my $frame = $back->method_frame;  # it does not hand out the message
        equal([$frame->reply_code, $frame->reply_text, $frame->exchange],
            [312, 'NO_ROUTE', 'amq.direct'], 'return');
    },

    'prefetch' => sub {
        my $channel = channel(connection());
        my ($queue, @seen) = (own_queue($channel));
        post($channel, '', $queue, "m$_") for 0 .. 9;
        done($channel, 'qos', prefetch_count => 3);
        done($channel, 'consume', queue => $queue, no_ack => 0,
            on_consume => sub { push @seen, shift });
        eventually(sub { @seen >= 3 });
        eventually(sub { @seen > 3 }, 0.3);
        equal(scalar @seen, 3, 'before an ack');
        $channel->ack(delivery_tag => tag($seen[2]), multiple => 1);
        eventually(sub { @seen >= 6 });
        eventually(sub { @seen > 6 }, 0.3);
        equal([map { payload($_) } @seen], [map { "m$_" } 0 .. 5], 'after the ack');
    },

    'acks' => sub {
        my $channel = channel(connection());
        my $queue = own_queue($channel);
        post($channel, '', $queue, "m$_") for 0 .. 3;
        my @tags = map { tag(get($channel, $queue, 0)) } 0 .. 3;
        $channel->ack(delivery_tag => $tags[0]);
        $channel->reject(delivery_tag => $tags[1], requeue => 0);
        $channel->reject(delivery_tag => $tags[2], requeue => 1);    # it has no nack
        $channel->reject(delivery_tag => $tags[3], requeue => 1);
        my @again = map { get($channel, $queue) } 2 .. 3;
        equal([map { (payload($_), $_->{ok}->method_frame->redelivered) } @again],
            ['m2', 1, 'm3', 1], 'what came again');
        equal(ready($channel, $queue), 0, 'left');
    },

    'transactions' => sub {
        my $connection = connection();
        my ($channel, $other) = (channel($connection), channel($connection));
        my $queue = own_queue($channel);
        done($channel, 'select_tx');
        post($channel, '', $queue, 'one');
        equal(ready($other, $queue), 0, 'before the commit');
        done($channel, 'commit_tx');
        post($channel, '', $queue, 'two');
        $channel->ack(delivery_tag => tag(get($channel, $queue, 0)));
        done($channel, 'rollback_tx');
        done($channel, 'close');
        equal(bodies($other, $queue, 1), ['one'], 'after the rollback');
        equal(ready($other, $queue), 0, 'left');
    },

    'exchanges' => sub {
        my $channel = channel(connection());
        for my $kind (['direct', 'k', 'k', 'l'], ['topic', 'a.*.#', 'a.b.c', 'b.a'],
            ['fanout', '', 'any']) {
            my ($type, $binding, $hit, $miss) = @$kind;
            my ($x, $y, $queue) = (name(), name(), own_queue($channel));
            done($channel, 'declare_exchange', exchange => $x, type => $type, auto_delete => 1);
            done($channel, 'declare_exchange', exchange => $y, type => 'fanout', auto_delete => 1);
            done($channel, 'bind_queue', queue => $queue, exchange => $x, routing_key => $binding);
            done($channel, 'bind_exchange', source => $y, destination => $x, routing_key => '');
            post($channel, $x, $hit, 'in');
            post($channel, $x, $miss, 'out') if defined $miss;
            post($channel, $y, $hit, 'through');
            done($channel, 'unbind_exchange', source => $y, destination => $x, routing_key => '');
            done($channel, 'unbind_queue', queue => $queue, exchange => $x,
                routing_key => $binding);
            post($channel, '', $queue, 'end');
            equal(bodies($channel, $queue, 3), ['in', 'through', 'end'], $type);
        }
        my $queue = own_queue($channel);
        done($channel, 'bind_queue', queue => $queue, exchange => 'amq.headers', routing_key => '',
            arguments => { 'x-match' => 'all', a => 'one', b => 'two' });
        post($channel, 'amq.headers', '', 'both',
            header => { headers => { a => 'one', b => 'two' } });
        post($channel, 'amq.headers', '', 'one', header => { headers => { a => 'one' } });
        post($channel, '', $queue, 'end');
        equal(bodies($channel, $queue, 2), ['both', 'end'], 'headers');
    },

    'queues' => sub {
        my ($owner, $connection) = (connection(), connection());
        my $queue = own_queue(channel($owner), durable => 0, exclusive => 1);
        die "$queue\n" if $queue !~ /^amq\.gen-/;
        refused(sub { ready(channel($connection), $queue) }, '405 RESOURCE_LOCKED');
        done($owner, 'close');
        refused(sub { ready(channel($connection), $queue) },
            "404 NOT_FOUND - no queue '$queue' in vhost '/'");
    },

    'cancel-notify' => sub {
        my $connection = connection();
        my $channel = channel($connection);
        my ($queue, $cancelled) = (own_queue($channel));
        done($channel, 'consume', queue => $queue, consumer_tag => 'mine',
            on_cancel => sub { $cancelled = shift });
        done(channel($connection), 'delete_queue', queue => $queue);
        eventually(sub { $cancelled });
        equal($cancelled->method_frame->consumer_tag, 'mine', 'cancelled');
    },

    'channel-error' => sub {
        my $connection = connection();
        my $missing = name();
        refused(sub { ready(channel($connection), $missing) },
            "404 NOT_FOUND - no queue '$missing' in vhost '/'");
        my $channel = channel($connection);
        done($channel, 'declare_exchange', exchange => $missing, type => 'direct');
        refused(sub { done($channel, 'declare_exchange', exchange => $missing, type => 'fanout') },
            "406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange '$missing' in vhost "
            . "'/': received 'fanout' but current is 'direct'");
        my $again = channel($connection);
        done($again, 'delete_exchange', exchange => $missing);
        my $queue = own_queue($again);
        post($again, '', $queue, 'x');
        equal(bodies($again, $queue, 1), ['x'], 'on a new channel');
    },

    'large-body' => sub {
        my $channel = channel(connection());
        my ($queue, $got) = (own_queue($channel));
        my $block = pack 'C*', map { ($_ * 7 + int($_ / 256)) % 256 } 0 .. 65_536;
        my $body = substr $block x 306, 0, 20_000_000;
        done($channel, 'consume', queue => $queue, on_consume => sub { $got = shift });
        post($channel, '', $queue, $body);
        eventually(sub { $got });
        die "the body is another one\n" if payload($got) ne $body;
    },

    'failover' => sub {
        my $program = { queue => name(), attempts => 0, confirmed => [], seen => {}, new => {} };
        publish_surely($program, $_) for 0 .. 9;
        my ($first, $held) = ($program->{channel});
        $held = take($program) for 1 .. 3;
        print "failover\n";
        equal(scalar <STDIN>, "failing\n", "the matrix's answer");
        publish_surely($program, $_) for 10 .. 199;
        equal(scalar <STDIN>, "restarted\n", "the matrix's answer");
        publish_surely($program, $_) for 200 .. 209;
        $first->ack(delivery_tag => tag($held), multiple => 1)
            if $program->{channel} == $first && !$program->{lost};
        my $end = AE::time() + PATIENCE;
        while (missing($program) && AE::time() < $end) {
            insist($program, sub {
                my $got = take($program);
                $program->{channel}->ack(delivery_tag => tag($got)) if $got;
            });
        }
        equal([scalar @{ $program->{confirmed} }, missing($program)], [210, 0], 'confirms, and what is lost');
        insist($program, sub { $program->{channel}->delete_queue(queue => $program->{queue}) });
    },

    'reply-to' => sub {
        my $connection = connection();
        my ($asker, $server) = (channel($connection), channel($connection));
        my ($queue, @answers) = (own_queue($server));
        done($asker, 'consume', queue => ADDRESS, no_ack => 1,
            on_consume => sub { push @answers, shift });
        for my $number (0 .. 2) {
            post($asker, '', $queue, "m$number",
                header => { reply_to => ADDRESS, correlation_id => "c$number" });
            my $question = get($server, $queue);
            my $header = $question->{header};
            post($server, '', $header->reply_to, payload($question) . '!',
                header => { correlation_id => $header->correlation_id });
        }
        eventually(sub { @answers == 3 });
        equal([map { ($_->{header}->correlation_id, payload($_)) } @answers],
            ['c0', 'm0!', 'c1', 'm1!', 'c2', 'm2!'], 'answers');
    },

    'tls' => sub {
        my $channel = channel(connection(
            host => 'localhost', port => $ENV{AMQP_TLS_PORT}, tls => 1,
            tls_ctx => { verify => 1, verify_peername => 'https', ca_file => $ENV{AMQP_CA} },
        ));
        my $queue = own_queue($channel);
        post($channel, '', $queue, 'x');
        equal(bodies($channel, $queue, 1), ['x'], 'message');
    },
);

local $| = 1;
my $number = 0;
while (my ($title, $run) = splice @scenarios, 0, 2) {
    $number++;
    if (eval { $run->(); 1 }) {
        print "ok $number - $title\n";
    } else {
        print "not ok $number - $title\n", $@ =~ s/^/# /gmr;
    }
    eval { done($_, 'close') } for splice @connections;
}
print "1..$number\n";
