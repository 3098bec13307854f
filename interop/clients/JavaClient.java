// The scenarios with RabbitMQ's Java client.

import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.AuthenticationFailureException;
import com.rabbitmq.client.CancelCallback;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.Delivery;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public final class JavaClient {
    private static final int PATIENCE = 60;
    private static final String ADDRESS = "amq.rabbitmq.reply-to";
    // How a scenario's own queue is declared, where it does not matter: durable, or exclusive.
    private static final boolean DURABLE = System.getenv("AMQP_DURABLE") != null;
    private static final BufferedReader INPUT = new BufferedReader(new InputStreamReader(System.in));
    private static int names;

    private interface Scenario {
        void run() throws Exception;
    }

    private static void equal(Object got, Object want, String what) {
        if (!want.equals(got)) {
            throw new AssertionError(what + ": expected " + want + ", got " + got);
        }
    }

    private static ConnectionFactory factory() {
        ConnectionFactory factory = new ConnectionFactory();
        factory.setHost("127.0.0.1");
        factory.setPort(Integer.parseInt(System.getenv("AMQP_PORT")));
        factory.setRequestedHeartbeat(0);
        factory.setNetworkRecoveryInterval(200);
        return factory;
    }

    private static Connection connect() throws Exception {
        return factory().newConnection();
    }

    private static String name() {
        return "interop." + ++names;
    }

    private static String ownQueue(Channel ch, Map<String, Object> arguments) throws IOException {
        return ch.queueDeclare("", DURABLE, !DURABLE, false, arguments).getQueue();
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] body) {
        return new String(body, StandardCharsets.UTF_8);
    }

    private static void send(Channel ch, String exchange, String key, String body)
        throws IOException {
        ch.basicPublish(exchange, key, null, bytes(body));
    }

    private static GetResponse get(Channel ch, String queue, boolean autoAck) throws Exception {
        for (int turn = 0; turn < PATIENCE * 100; turn++) {
            GetResponse got = ch.basicGet(queue, autoAck);
            if (got != null) {
                return got;
            }
            Thread.sleep(10);
        }
        throw new AssertionError("there is no message in " + queue);
    }

    private static List<String> bodies(Channel ch, String queue, int count) throws Exception {
        List<String> got = new ArrayList<>();
        while (got.size() < count) {
            got.add(text(get(ch, queue, true).getBody()));
        }
        return got;
    }

    private static BlockingQueue<Delivery> consume(Channel ch, String queue, boolean autoAck)
        throws IOException {
        BlockingQueue<Delivery> seen = new LinkedBlockingQueue<>();
        ch.basicConsume(queue, autoAck, (tag, delivery) -> seen.add(delivery), tag -> { });
        return seen;
    }

    private static <T> T next(BlockingQueue<T> seen) throws InterruptedException {
        T value = seen.poll(PATIENCE, TimeUnit.SECONDS);
        if (value == null) {
            throw new AssertionError("nothing came");
        }
        return value;
    }

    private static void refused(Callable<?> what, int code, String said) throws Exception {
        try {
            what.call();
        } catch (IOException error) {
            ShutdownSignalException signal = (ShutdownSignalException) error.getCause();
            AMQP.Channel.Close close = (AMQP.Channel.Close) signal.getReason();
            equal(close.getReplyCode(), code, "code");
            equal(close.getReplyText().startsWith(said), true, close.getReplyText());
            return;
        }
        throw new AssertionError(code + " expected");
    }

    private static String notFound(String queue) {
        return "NOT_FOUND - no queue '" + queue + "' in vhost '/'";
    }

    private static Map<String, Object> table(Object... pairs) {
        Map<String, Object> table = new HashMap<>();
        for (int at = 0; at < pairs.length; at += 2) {
            table.put((String) pairs[at], pairs[at + 1]);
        }
        return table;
    }

    // Strings come back as the client's LongString.
    private static Object plain(Object value) {
        if (value instanceof com.rabbitmq.client.LongString) {
            return value.toString();
        } else if (value instanceof Map) {
            Map<String, Object> out = new HashMap<>();
            ((Map<?, ?>) value).forEach((key, inner) -> out.put((String) key, plain(inner)));
            return out;
        } else if (value instanceof List) {
            List<Object> out = new ArrayList<>();
            ((List<?>) value).forEach(inner -> out.add(plain(inner)));
            return out;
        }
        return value;
    }

    private static void login() throws Exception {
        Connection c = connect();
        equal(c.getServerProperties().get("product").toString(), "RabbitMQ", "product");
        c.createChannel().close();
        c.close();
        equal(c.isOpen(), false, "open");
    }

    private static void wrongPassword() throws Exception {
        ConnectionFactory factory = factory();
        factory.setPassword("wrong");
        try {
            factory.newConnection();
        } catch (AuthenticationFailureException error) {
            equal(error.getMessage().startsWith("ACCESS_REFUSED - Login was refused"), true,
                error.getMessage());
            return;
        }
        throw new AssertionError("not refused");
    }

    private static void heartbeats() throws Exception {
        ConnectionFactory factory = factory();
        factory.setRequestedHeartbeat(1);
        factory.setAutomaticRecoveryEnabled(false);
        try (Connection c = factory.newConnection()) {
            equal(c.getHeartbeat(), 1, "heartbeat");
            Thread.sleep(3000);
            ownQueue(c.createChannel(), null);
        }
    }

    private static void properties() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            AMQP.BasicProperties want = new AMQP.BasicProperties.Builder().contentType("text/plain")
                .contentEncoding("utf-8").deliveryMode(2).priority(7).correlationId("c-1")
                .replyTo("answers").expiration("60000").messageId("m-1")
                .timestamp(new Date(1715000000000L)).type("kind").userId("guest").appId("interop")
                .clusterId("cluster").build();
            ch.basicPublish("", q, want, new byte[] {-1, 0});
            GetResponse got = get(ch, q, true);
            equal(got.getProps().toString(), want.toString(), "properties");
            equal(Arrays.equals(got.getBody(), new byte[] {-1, 0}), true, "the body is the same");
        }
    }

    private static void headers() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            Map<String, Object> want = table("bool", true, "byte", (byte) -7, "short", (short) -300,
                "int", 70000, "long", 1L << 40, "float", 0.5f, "double", 1.5, "string", "\u00e9",
                "decimal", new BigDecimal("3.14"), "time", new Date(1715000000000L),
                "table", table("deep", table("er", 1)),
                "array", Arrays.asList(1, "two", Arrays.asList(3)), "void", null);
            byte[] raw = {-1, 0};
            Map<String, Object> sent = new HashMap<>(want);
            sent.put("bytes", raw);
            ch.basicPublish("", q, new AMQP.BasicProperties.Builder().headers(sent).build(),
                bytes("x"));
            Map<String, Object> got = new HashMap<>(get(ch, q, true).getProps().getHeaders());
            equal(Arrays.equals((byte[]) got.remove("bytes"), raw), true, "the bytes are the same");
            equal(plain(got), want, "headers");
        }
    }

    private static void confirms() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            ch.confirmSelect();
            for (int number = 0; number < 500; number++) {
                send(ch, "", q, "x");
            }
            equal(ch.waitForConfirms(PATIENCE * 1000L), true, "all confirmed");
            equal(ch.messageCount(q), 500L, "messages");
        }
    }

    private static void mandatory() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            BlockingQueue<List<Object>> seen = new LinkedBlockingQueue<>();
            ch.addReturnListener((code, said, exchange, key, properties, body) -> seen.add(
                Arrays.asList(code, said, exchange, properties.getMessageId(), text(body))));
            ch.basicPublish("amq.direct", name(), true,
                new AMQP.BasicProperties.Builder().messageId("m").build(), bytes("back"));
            equal(next(seen), Arrays.asList(312, "NO_ROUTE", "amq.direct", "m", "back"), "return");
        }
    }

    private static void prefetch() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            for (int number = 0; number < 10; number++) {
                send(ch, "", q, "" + number);
            }
            ch.basicQos(3);
            BlockingQueue<Delivery> seen = consume(ch, q, false);
            Delivery last = null;
            for (int number = 0; number < 6; number++) {
                if (number == 3) {
                    equal(seen.poll(300, TimeUnit.MILLISECONDS) == null, true, "no fourth");
                    ch.basicAck(last.getEnvelope().getDeliveryTag(), true);
                }
                last = next(seen);
                equal(text(last.getBody()), "" + number, "body");
            }
            equal(seen.poll(300, TimeUnit.MILLISECONDS) == null, true, "no seventh");
        }
    }

    private static void acks() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            long[] tags = new long[5];
            for (int number = 0; number < 5; number++) {
                send(ch, "", q, "" + number);
            }
            for (int number = 0; number < 5; number++) {
                tags[number] = get(ch, q, false).getEnvelope().getDeliveryTag();
            }
            ch.basicAck(tags[0], false);
            ch.basicReject(tags[1], false);
            ch.basicReject(tags[2], true);
            ch.basicNack(tags[4], true, true);
            for (int number = 2; number < 5; number++) {
                GetResponse got = get(ch, q, true);
                equal(text(got.getBody()), "" + number, "what came again");
                equal(got.getEnvelope().isRedeliver(), true, "redelivered");
            }
            equal(ch.basicGet(q, true) == null, true, "no more");
        }
    }

    private static void deadLetter() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String dead = ownQueue(ch, null);
            String q = ownQueue(ch,
                table("x-dead-letter-exchange", "", "x-dead-letter-routing-key", dead));
            ch.basicPublish("", q,
                new AMQP.BasicProperties.Builder().headers(table("own", 1)).build(), bytes("ill"));
            ch.basicReject(get(ch, q, false).getEnvelope().getDeliveryTag(), false);
            GetResponse got = get(ch, dead, true);
            Map<?, ?> headers = (Map<?, ?>) plain(got.getProps().getHeaders());
            List<?> deaths = (List<?>) headers.get("x-death");
            equal(deaths.size(), 1, "entries");
            Map<?, ?> death = (Map<?, ?>) deaths.get(0);
            equal(death.remove("time") instanceof Date, true, "time");
            equal(death, table("count", 1L, "reason", "rejected", "queue", q, "exchange", "",
                "routing-keys", Arrays.asList(q)), "x-death");
            equal(headers.get("x-first-death-reason"), "rejected", "first reason");
            equal(headers.get("x-first-death-queue"), q, "first queue");
            equal(headers.get("x-first-death-exchange"), "", "first exchange");
            equal(headers.get("own"), 1, "own header");
            equal(text(got.getBody()), "ill", "body");
        }
    }

    private static void transactions() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            Channel other = c.createChannel();
            String q = ownQueue(ch, null);
            ch.txSelect();
            send(ch, "", q, "1");
            equal(other.messageCount(q), 0L, "before the commit");
            ch.txCommit();
            send(ch, "", q, "2");
            ch.basicAck(get(ch, q, false).getEnvelope().getDeliveryTag(), false);
            ch.txRollback();
            ch.close();
            equal(bodies(other, q, 1), Arrays.asList("1"), "after the rollback");
            equal(other.basicGet(q, true) == null, true, "no more");
        }
    }

    private static void checkKind(Channel ch, String kind, String binding, String hit, String miss)
        throws Exception {
        String x = name();
        String y = name();
        String q = ownQueue(ch, null);
        ch.exchangeDeclare(x, kind, false, true, null);
        ch.exchangeDeclare(y, "fanout", false, true, null);
        ch.queueBind(q, x, binding);
        ch.exchangeBind(x, y, "");
        send(ch, x, hit, "in");
        if (miss != null) {
            send(ch, x, miss, "out");
        }
        send(ch, y, hit, "through");
        ch.exchangeUnbind(x, y, "");
        ch.queueUnbind(q, x, binding);
        send(ch, "", q, "end");
        equal(bodies(ch, q, 3), Arrays.asList("in", "through", "end"), kind);
    }

    private static void exchanges() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            checkKind(ch, "direct", "k", "k", "l");
            checkKind(ch, "topic", "a.*.#", "a.b.c", "b.a");
            checkKind(ch, "fanout", "", "any", null);
            String q = ownQueue(ch, null);
            ch.queueBind(q, "amq.headers", "", table("x-match", "all", "a", 1, "b", "two"));
            ch.basicPublish("amq.headers", "", new AMQP.BasicProperties.Builder()
                .headers(table("a", 1, "b", "two")).build(), bytes("both"));
            ch.basicPublish("amq.headers", "", new AMQP.BasicProperties.Builder()
                .headers(table("a", 1)).build(), bytes("one"));
            send(ch, "", q, "end");
            equal(bodies(ch, q, 2), Arrays.asList("both", "end"), "headers");
        }
    }

    private static void queues() throws Exception {
        Connection owner = connect();
        try (Connection c = connect()) {
            String q = owner.createChannel().queueDeclare("", false, true, false, null).getQueue();
            equal(q.startsWith("amq.gen-"), true, q);
            refused(() -> c.createChannel().queueDeclarePassive(q), 405, "RESOURCE_LOCKED");
            owner.close();
            refused(() -> c.createChannel().queueDeclarePassive(q), 404, notFound(q));
        }
    }

    private static void cancelNotify() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            BlockingQueue<String> seen = new LinkedBlockingQueue<>();
            CancelCallback cancelled = seen::add;
            String tag = ch.basicConsume(q, false, (t, delivery) -> { }, cancelled);
            c.createChannel().queueDelete(q);
            equal(next(seen), tag, "cancelled");
        }
    }

    private static void channelError() throws Exception {
        try (Connection c = connect()) {
            String missing = name();
            refused(() -> c.createChannel().queueDeclarePassive(missing), 404, notFound(missing));
            Channel ch = c.createChannel();
            ch.exchangeDeclare(missing, "direct");
            refused(() -> ch.exchangeDeclare(missing, "fanout"), 406,
                "PRECONDITION_FAILED - inequivalent arg 'type' for exchange '" + missing
                + "' in vhost '/': received 'fanout' but current is 'direct'");
            Channel again = c.createChannel();
            again.exchangeDelete(missing);
            String q = ownQueue(again, null);
            send(again, "", q, "x");
            equal(bodies(again, q, 1), Arrays.asList("x"), "on a new channel");
        }
    }

    private static void largeBody() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            byte[] body = new byte[20000000];
            for (int at = 0; at < body.length; at++) {
                body[at] = (byte) (at % 65537 * 7 + at % 65537 / 256);
            }
            BlockingQueue<Delivery> seen = consume(ch, q, true);
            ch.basicPublish("", q, null, body);
            equal(Arrays.equals(next(seen).getBody(), body), true, "the body is the same");
        }
    }

    private static void restartBroker() throws IOException {
        System.out.println("restart");
        equal(INPUT.readLine(), "restarted", "the matrix's answer");
    }

    private static void recovery() throws Exception {
        try (Connection c = connect()) {
            Channel ch = c.createChannel();
            String kept = ch.queueDeclare(name(), true, false, false, null).getQueue();
            String q = ch.queueDeclare(name(), true, false, false, null).getQueue();
            ch.confirmSelect();
            for (int number = 0; number < 20; number++) {
                ch.basicPublish("", kept, MessageProperties.PERSISTENT_BASIC, bytes("" + number));
            }
            equal(ch.waitForConfirms(PATIENCE * 1000L), true, "all confirmed");
            BlockingQueue<Delivery> seen = consume(ch, q, true);
            send(ch, "", q, "first");
            equal(text(next(seen).getBody()), "first", "before the kill");
            restartBroker();
            try (Connection other = connect()) {
                send(other.createChannel(), "", q, "last");
                equal(text(next(seen).getBody()), "last", "after the kill");
            }
            for (int number = 0; number < 20; number++) {
                equal(bodies(ch, kept, 1), Arrays.asList("" + number), "what was kept");
            }
            ch.queueDelete(kept);
            ch.queueDelete(q);
        }
    }

    /** A program that connects again when its connection has ended, and does again what was not done then. */
    private static final class Program {
        private final String queue = name();
        private final List<String> confirmed = new ArrayList<>();
        private final Set<String> seen = new HashSet<>();
        private final Set<String> comesNew = new HashSet<>();
        private Connection connection;
        private Channel ch;
        private int attempts;

        private interface Step<T> {
            T run() throws Exception;
        }

        private void open() throws Exception {
            ConnectionFactory factory = factory();
            factory.setAutomaticRecoveryEnabled(false);
            connection = factory.newConnection();
            ch = connection.createChannel();
            ch.confirmSelect();
            ch.queueDeclare(queue, true, false, false, null);
        }

        private <T> T insist(Step<T> step) throws Exception {
            while (true) {
                try {
                    if (connection == null) {
                        open();
                    }
                    return step.run();
                } catch (IOException | TimeoutException | ShutdownSignalException lost) {
                    if (connection != null) {
                        connection.abort();
                    }
                    connection = null;
                    Thread.sleep(50);
                }
            }
        }

        private void publish(int from, int to) throws Exception {
            for (int number = from; number < to; number++) {
                int wanted = number;
                insist(() -> {
                    String body = wanted + "." + ++attempts;
                    ch.basicPublish("", queue, true, MessageProperties.PERSISTENT_BASIC, bytes(body));
                    ch.waitForConfirmsOrDie(PATIENCE * 1000L);
                    return confirmed.add(body);
                });
            }
        }

        // The tag of a message, or 0.
        private long take() throws Exception {
            GetResponse got = ch.basicGet(queue, false);
            if (got == null) {
                return 0;
            }
            String body = text(got.getBody());
            boolean isNew = !got.getEnvelope().isRedeliver();
            equal(isNew && comesNew.contains(body), false, body + " comes twice, and does not say so");
            seen.add(body);
            if (isNew) {
                comesNew.add(body);
            }
            return got.getEnvelope().getDeliveryTag();
        }

        private boolean hasAll() {
            return seen.containsAll(confirmed);
        }
    }

    private static void failover() throws Exception {
        Program program = new Program();
        program.publish(0, 10);
        Connection first = program.connection;
        long held = 0;
        for (int number = 0; number < 3; number++) {
            held = program.take();
        }
        System.out.println("failover");
        equal(INPUT.readLine(), "failing", "the matrix's answer");
        program.publish(10, 200);
        equal(INPUT.readLine(), "restarted", "the matrix's answer");
        program.publish(200, 210);
        if (program.connection == first) {
            program.ch.basicAck(held, true);
        }
        long end = System.nanoTime() + PATIENCE * 1000000000L;
        while (!program.hasAll() && System.nanoTime() < end) {
            program.insist(() -> {
                long tag = program.take();
                if (tag != 0) {
                    program.ch.basicAck(tag, false);
                }
                return tag;
            });
        }
        equal(program.hasAll(), true, "all that was confirmed has come");
        equal(program.confirmed.size(), 210, "confirms");
        program.insist(() -> program.ch.queueDelete(program.queue));
        program.connection.close();
    }

    private static void replyTo() throws Exception {
        try (Connection c = connect()) {
            Channel asker = c.createChannel();
            Channel server = c.createChannel();
            String q = ownQueue(server, null);
            BlockingQueue<Delivery> answers = consume(asker, ADDRESS, true);
            for (int number = 0; number < 3; number++) {
                asker.basicPublish("", q, new AMQP.BasicProperties.Builder().replyTo(ADDRESS)
                    .correlationId("" + number).build(), bytes("m" + number));
                GetResponse question = get(server, q, true);
                server.basicPublish("", question.getProps().getReplyTo(),
                    new AMQP.BasicProperties.Builder()
                        .correlationId(question.getProps().getCorrelationId()).build(),
                    bytes(text(question.getBody()) + "!"));
                Delivery answer = next(answers);
                equal(answer.getProperties().getCorrelationId(), "" + number, "correlation id");
                equal(text(answer.getBody()), "m" + number + "!", "answer");
            }
        }
    }

    private static void tls() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream in = new FileInputStream(System.getenv("AMQP_CA"))) {
            store.setCertificateEntry("broker",
                CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLSv1.2");
        context.init(null, trust.getTrustManagers(), null);
        ConnectionFactory factory = factory();
        factory.setHost("localhost");
        factory.setPort(Integer.parseInt(System.getenv("AMQP_TLS_PORT")));
        factory.useSslProtocol(context);
        try (Connection c = factory.newConnection()) {
            Channel ch = c.createChannel();
            String q = ownQueue(ch, null);
            send(ch, "", q, "x");
            equal(bodies(ch, q, 1), Arrays.asList("x"), "message");
        }
    }

    private static Map<String, Scenario> scenarios() {
        Map<String, Scenario> all = new LinkedHashMap<>();
        all.put("login", JavaClient::login);
        all.put("wrong-password", JavaClient::wrongPassword);
        all.put("heartbeats", JavaClient::heartbeats);
        all.put("properties", JavaClient::properties);
        all.put("headers", JavaClient::headers);
        all.put("confirms", JavaClient::confirms);
        all.put("mandatory", JavaClient::mandatory);
        all.put("prefetch", JavaClient::prefetch);
        all.put("acks", JavaClient::acks);
        all.put("dead-letter", JavaClient::deadLetter);
        all.put("transactions", JavaClient::transactions);
        all.put("exchanges", JavaClient::exchanges);
        all.put("queues", JavaClient::queues);
        all.put("cancel-notify", JavaClient::cancelNotify);
        all.put("channel-error", JavaClient::channelError);
        all.put("large-body", JavaClient::largeBody);
        all.put("recovery", JavaClient::recovery);
        all.put("failover", JavaClient::failover);
        all.put("reply-to", JavaClient::replyTo);
        all.put("tls", JavaClient::tls);
        return all;
    }

    public static void main(String[] arguments) throws Exception {
        ExecutorService runner = Executors.newCachedThreadPool();
        int number = 0;
        for (Map.Entry<String, Scenario> entry : scenarios().entrySet()) {
            number++;
            try {
                runner.submit(() -> {
                    entry.getValue().run();
                    return null;
                }).get(2 * PATIENCE, TimeUnit.SECONDS);
                System.out.println("ok " + number + " - " + entry.getKey());
            } catch (Exception wrong) {
                System.out.println("not ok " + number + " - " + entry.getKey());
                System.out.println("# " + (wrong.getCause() == null ? wrong : wrong.getCause()));
            }
        }
        System.out.println("1.." + number);
        System.exit(0);
    }
}
