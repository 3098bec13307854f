"""What every client of the matrix does, which clients there are, and what each of them cannot do.

A client is a program in clients/ that runs the scenarios in this order, and reports each in TAP under
its name. What it cannot do is told here with the reason, and it must not report that: a scenario that
is neither run nor told here is a failure.
"""

# name, what is wanted
SCENARIOS = (
    ("login", "connect as guest, open a channel, close both"),
    ("wrong-password", "a wrong password is refused, and the client says so"),
    ("heartbeats", "with heartbeats every second, a connection that is idle for 3 s stays open"),
    ("properties", "every property of a message comes back as it was sent"),
    ("headers", "a header of every type that the client has comes back as it was sent"),
    ("confirms", "500 publishes in a row are all confirmed, and are then in the queue"),
    ("mandatory", "an unroutable mandatory message is returned with 312 NO_ROUTE, whole"),
    ("prefetch", "with a prefetch of 3 there are 3 deliveries, and 3 more after an ack of many"),
    ("acks", "ack, nack of many, reject, with and without requeue; redelivered is told"),
    ("dead-letter", "a rejected message is a dead letter, with x-death as it should be"),
    ("transactions", "what is published or acked is seen after the commit, not after a rollback"),
    ("exchanges", "direct, fanout, topic and headers exchanges; unbind; bindings of exchanges"),
    ("queues", "a queue named by the server; an exclusive one is locked (405), and goes at the end"),
    ("cancel-notify", "a consumer is told when its queue is deleted"),
    ("channel-error", "404 and 406 close the channel with their texts; a new one works"),
    ("large-body", "20 MB go and come back, unharmed"),
    ("recovery", "the broker is killed and started again; the client comes back by itself, the "
                 "durable queue and its persistent messages are there, and its consumer goes on"),
    ("failover", "the broker is killed and started again while messages are published one by one, each until "
                 "it is confirmed, by a program that connects again when its connection ends; what it has "
                 "not acknowledged comes again as redelivered, or may be acknowledged then; what was "
                 "confirmed comes, and nothing comes twice without saying so"),
    ("reply-to", "questions and answers by direct reply-to"),
    ("tls", "with TLS, and the certificate checked, a message goes and comes back"),
)

NO_RECOVERY = "it leaves connecting again to the program"

# name: its package in Debian 12 or npm, its program, and scenario: why it cannot do that
CLIENTS = {
    "pika": ("python3-pika", "pika_client.py", {"recovery": NO_RECOVERY}),
    "py-amqp": ("python3-amqp, with python3-kombu for recovery", "py_amqp_client.py", {}),
    "aio-pika": ("python3-aio-pika", "aio_pika_client.py", {
        "cancel-notify": "it tells its caller nothing of it"}),
    "amqp091-go": ("golang-github-rabbitmq-amqp091-go-dev", "amqp091.go",
                   {"recovery": NO_RECOVERY}),
    "bunny": ("ruby-bunny", "bunny.rb", {}),
    "php-amqplib": ("php-amqplib", "php_amqplib.php", {"recovery": NO_RECOVERY}),
    "amqplib": ("amqplib of npm", "amqplib.js", {
        "recovery": NO_RECOVERY, "transactions": "it has no transactions"}),
    "rabbitmq-client": ("rabbitmq-client of npm", "rabbitmq_client.js", {}),
    "java": ("librabbitmq-client-java", "JavaClient.java", {}),
    "rabbitmq-c": ("librabbitmq-dev", "rabbitmq_c_client.c", {"recovery": NO_RECOVERY}),
    "anyevent": ("libanyevent-rabbitmq-perl", "anyevent.pl", {
        "wrong-password": "it hears that the connection broke, and not why",
        "dead-letter": "it cannot read a 64-bit integer in a header, as x-death has",
        "recovery": NO_RECOVERY}),
}
