// The scenarios with amqp091-go.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = 60 * time.Second

var (
	port    = os.Getenv("AMQP_PORT")
	tlsPort = os.Getenv("AMQP_TLS_PORT")
	names   int

	// How a scenario's own queue is declared, where it does not matter: durable, or exclusive.
	_, durable = os.LookupEnv("AMQP_DURABLE")
)

// What fails a scenario is a panic.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(got, want interface{}, what string) {
	if !reflect.DeepEqual(got, want) {
		panic(fmt.Sprintf("%s: expected %#v, got %#v", what, want, got))
	}
}

var input = bufio.NewReader(os.Stdin)

func answer() string {
	line, err := input.ReadString('\n')
	must(err)
	return strings.TrimSpace(line)
}

func name() string {
	names++
	return fmt.Sprintf("interop.%d", names)
}

func dial(password string, heartbeat time.Duration) (*amqp.Connection, error) {
	return amqp.DialConfig("amqp://guest:"+password+"@127.0.0.1:"+port+"/",
		amqp.Config{Heartbeat: heartbeat})
}

func connect() *amqp.Connection {
	c, err := dial("guest", 10*time.Second)
	must(err)
	return c
}

func channel(c *amqp.Connection) *amqp.Channel {
	ch, err := c.Channel()
	must(err)
	return ch
}

func ownQueue(ch *amqp.Channel, arguments amqp.Table) string {
	q, err := ch.QueueDeclare("", durable, false, !durable, false, arguments)
	must(err)
	return q.Name
}

func publish(ch *amqp.Channel, exchange, key string, mandatory bool, m amqp.Publishing) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(ch.PublishWithContext(ctx, exchange, key, mandatory, false, m))
}

func send(ch *amqp.Channel, exchange, key, body string) {
	publish(ch, exchange, key, false, amqp.Publishing{Body: []byte(body)})
}

func get(ch *amqp.Channel, q string, autoAck bool) amqp.Delivery {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		d, ok, err := ch.Get(q, autoAck)
		must(err)
		if ok {
			return d
		}
		time.Sleep(10 * time.Millisecond)
	}
	panic("there is no message in " + q)
}

func bodies(ch *amqp.Channel, q string, count int) []string {
	var got []string
	for i := 0; i < count; i++ {
		got = append(got, string(get(ch, q, true).Body))
	}
	return got
}

func consume(ch *amqp.Channel, q string, autoAck bool) <-chan amqp.Delivery {
	deliveries, err := ch.Consume(q, "", autoAck, false, false, false, nil)
	must(err)
	return deliveries
}

// As many deliveries as come before there is none for that long.
func come(deliveries <-chan amqp.Delivery, count int, quiet time.Duration) []amqp.Delivery {
	var got []amqp.Delivery
	wait := patience
	for {
		if len(got) >= count {
			wait = quiet
		}
		select {
		case d := <-deliveries:
			got = append(got, d)
		case <-time.After(wait):
			return got
		}
	}
}

func ready(ch *amqp.Channel, q string) int {
	state, err := ch.QueueInspect(q)
	must(err)
	return state.Messages
}

// The broker's error, which must be one.
func refused(err error, code int, text string) {
	var e *amqp.Error
	if !errors.As(err, &e) {
		panic(fmt.Sprintf("expected %d, got %v", code, err))
	}
	equal(e.Code, code, "code")
	if text != "" {
		equal(e.Reason, text, "text")
	}
}

func passive(c *amqp.Connection, q string) error {
	_, err := channel(c).QueueInspect(q)
	return err
}

func notFound(q string) string {
	return "NOT_FOUND - no queue '" + q + "' in vhost '/'"
}

func login() {
	c := connect()
	equal(c.Properties["product"], "RabbitMQ", "product")
	must(channel(c).Close())
	must(c.Close())
	equal(c.IsClosed(), true, "closed")
}

func wrongPassword() {
	_, err := dial("wrong", 0)
	refused(err, 403, "username or password not allowed")
}

func heartbeats() {
	c, err := dial("guest", time.Second)
	must(err)
	defer c.Close()
	time.Sleep(3 * time.Second)
	ownQueue(channel(c), nil)
}

func properties() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	want := amqp.Publishing{ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: 2,
		Priority: 7, CorrelationId: "c-1", ReplyTo: "answers", Expiration: "60000", MessageId: "m-1",
		Timestamp: time.Unix(1715000000, 0), Type: "kind", UserId: "guest", AppId: "interop",
		Body: []byte("\xff\x00")}
	publish(ch, "", q, false, want)
	d := get(ch, q, true)
	equal(amqp.Publishing{ContentType: d.ContentType, ContentEncoding: d.ContentEncoding,
		DeliveryMode: d.DeliveryMode, Priority: d.Priority, CorrelationId: d.CorrelationId,
		ReplyTo: d.ReplyTo, Expiration: d.Expiration, MessageId: d.MessageId, Timestamp: d.Timestamp,
		Type: d.Type, UserId: d.UserId, AppId: d.AppId, Body: d.Body}, want, "message")
}

func headers() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	want := amqp.Table{"bool": true, "byte": byte(200), "short": int16(-300), "int": int32(-7),
		"long": int64(1) << 40, "float": float32(0.5), "double": 1.5, "string": "é",
		"bytes": []byte("\xff\x00"), "decimal": amqp.Decimal{Scale: 2, Value: 314},
		"time": time.Unix(1715000000, 0), "table": amqp.Table{"deep": amqp.Table{"er": int32(1)}},
		"array": []interface{}{int32(1), "two", []interface{}{int32(3)}}, "void": nil}
	publish(ch, "", q, false, amqp.Publishing{Headers: want})
	equal(get(ch, q, true).Headers, want, "headers")
}

func confirms() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	must(ch.Confirm(false))
	acks := ch.NotifyPublish(make(chan amqp.Confirmation, 500))
	for i := 0; i < 500; i++ {
		send(ch, "", q, "x")
	}
	for i := 1; i <= 500; i++ {
		equal(<-acks, amqp.Confirmation{DeliveryTag: uint64(i), Ack: true}, "confirm")
	}
	equal(ready(ch, q), 500, "messages")
}

func mandatory() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	returns := ch.NotifyReturn(make(chan amqp.Return, 1))
	publish(ch, "amq.direct", name(), true, amqp.Publishing{MessageId: "m", Body: []byte("back")})
	r := <-returns
	equal([]interface{}{r.ReplyCode, r.ReplyText, r.Exchange, r.MessageId, string(r.Body)},
		[]interface{}{uint16(312), "NO_ROUTE", "amq.direct", "m", "back"}, "return")
}

func prefetch() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	for i := 0; i < 10; i++ {
		send(ch, "", q, fmt.Sprint(i))
	}
	must(ch.Qos(3, 0, false))
	deliveries := consume(ch, q, false)
	got := come(deliveries, 3, 300*time.Millisecond)
	equal(len(got), 3, "before an ack")
	must(got[2].Ack(true))
	got = append(got, come(deliveries, 3, 300*time.Millisecond)...)
	equal(len(got), 6, "after the ack")
	for i, d := range got {
		equal(string(d.Body), fmt.Sprint(i), "body")
	}
}

func acks() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	var got []amqp.Delivery
	for i := 0; i < 5; i++ {
		send(ch, "", q, fmt.Sprint(i))
	}
	for i := 0; i < 5; i++ {
		got = append(got, get(ch, q, false))
	}
	must(got[0].Ack(false))
	must(got[1].Reject(false))
	must(got[2].Reject(true))
	must(got[4].Nack(true, true))
	for _, want := range []string{"2", "3", "4"} {
		d := get(ch, q, true)
		equal(string(d.Body), want, "what came again")
		equal(d.Redelivered, true, "redelivered")
	}
	_, ok, err := ch.Get(q, true)
	must(err)
	equal(ok, false, "a message at the end")
}

func deadLetter() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	dead := ownQueue(ch, nil)
	q := ownQueue(ch, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	publish(ch, "", q, false, amqp.Publishing{Headers: amqp.Table{"own": int32(1)},
		Body: []byte("ill")})
	d := get(ch, q, false)
	must(d.Reject(false))
	d = get(ch, dead, true)
	deaths := d.Headers["x-death"].([]interface{})
	equal(len(deaths), 1, "entries")
	death := deaths[0].(amqp.Table)
	if _, ok := death["time"].(time.Time); !ok {
		panic("no time")
	}
	delete(death, "time")
	equal(death, amqp.Table{"count": int64(1), "reason": "rejected", "queue": q, "exchange": "",
		"routing-keys": []interface{}{q}}, "x-death")
	equal([]interface{}{d.Headers["x-first-death-reason"], d.Headers["x-first-death-queue"],
		d.Headers["x-first-death-exchange"]}, []interface{}{"rejected", q, ""}, "first death")
	equal(string(d.Body), "ill", "body")
	equal(d.Headers["own"], int32(1), "own header")
}

func transactions() {
	c := connect()
	defer c.Close()
	ch, other := channel(c), channel(c)
	q := ownQueue(ch, nil)
	must(ch.Tx())
	send(ch, "", q, "1")
	equal(ready(other, q), 0, "before the commit")
	must(ch.TxCommit())
	send(ch, "", q, "2")
	d := get(ch, q, false)
	must(d.Ack(false))
	must(ch.TxRollback())
	must(ch.Close())
	equal(bodies(other, q, 1), []string{"1"}, "after the rollback")
	equal(ready(other, q), 0, "left")
}

func kind(ch *amqp.Channel, kind, binding, hit, miss string) {
	x, y, q := name(), name(), ownQueue(ch, nil)
	must(ch.ExchangeDeclare(x, kind, false, true, false, false, nil))
	must(ch.ExchangeDeclare(y, "fanout", false, true, false, false, nil))
	must(ch.QueueBind(q, binding, x, false, nil))
	must(ch.ExchangeBind(x, "", y, false, nil))
	send(ch, x, hit, "in")
	if miss != "" {
		send(ch, x, miss, "out")
	}
	send(ch, y, hit, "through")
	must(ch.ExchangeUnbind(x, "", y, false, nil))
	must(ch.QueueUnbind(q, binding, x, nil))
	send(ch, "", q, "end")
	equal(bodies(ch, q, 3), []string{"in", "through", "end"}, kind)
}

func exchanges() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	kind(ch, "direct", "k", "k", "l")
	kind(ch, "topic", "a.*.#", "a.b.c", "b.a")
	kind(ch, "fanout", "", "any", "")
	q := ownQueue(ch, nil)
	both := amqp.Table{"a": int32(1), "b": "two"}
	must(ch.QueueBind(q, "", "amq.headers", false,
		amqp.Table{"x-match": "all", "a": int32(1), "b": "two"}))
	publish(ch, "amq.headers", "", false, amqp.Publishing{Headers: both, Body: []byte("both")})
	publish(ch, "amq.headers", "", false, amqp.Publishing{
		Headers: amqp.Table{"a": int32(1)}, Body: []byte("one")})
	send(ch, "", q, "end")
	equal(bodies(ch, q, 2), []string{"both", "end"}, "headers")
}

func queues() {
	owner, c := connect(), connect()
	defer c.Close()
	exclusive, err := channel(owner).QueueDeclare("", false, false, true, false, nil)
	must(err)
	q := exclusive.Name
	equal(strings.HasPrefix(q, "amq.gen-"), true, q)
	refused(passive(c, q), 405, "")
	must(owner.Close())
	refused(passive(c, q), 404, notFound(q))
}

func cancelNotify() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	cancelled := ch.NotifyCancel(make(chan string, 1))
	_, err := ch.Consume(q, "mine", false, false, false, false, nil)
	must(err)
	_, err = channel(c).QueueDelete(q, false, false, false)
	must(err)
	equal(<-cancelled, "mine", "cancelled")
}

func channelError() {
	c := connect()
	defer c.Close()
	missing := name()
	refused(passive(c, missing), 404, notFound(missing))
	ch := channel(c)
	must(ch.ExchangeDeclare(missing, "direct", false, false, false, false, nil))
	refused(ch.ExchangeDeclare(missing, "fanout", false, false, false, false, nil), 406,
		"PRECONDITION_FAILED - inequivalent arg 'type' for exchange '"+missing+
			"' in vhost '/': received 'fanout' but current is 'direct'")
	again := channel(c)
	must(again.ExchangeDelete(missing, false, false))
	q := ownQueue(again, nil)
	send(again, "", q, "x")
	equal(bodies(again, q, 1), []string{"x"}, "on a new channel")
}

func largeBody() {
	c := connect()
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	body := make([]byte, 20000000)
	for at := range body {
		body[at] = byte(at%65537*7 + at%65537/256)
	}
	deliveries := consume(ch, q, true)
	publish(ch, "", q, false, amqp.Publishing{Body: body})
	d := <-deliveries
	equal(bytes.Equal(d.Body, body), true, "the body is the same")
}

// A program that connects again when its connection has ended, and does again what was not done then.
type program struct {
	queue          string
	c              *amqp.Connection
	ch             *amqp.Channel
	acks           chan amqp.Confirmation
	attempts       int
	confirmed      []string
	seen, comesNew map[string]bool
}

func (p *program) open() (err error) {
	if p.c, err = dial("guest", 10*time.Second); err != nil {
		return err
	}
	if p.ch, err = p.c.Channel(); err != nil {
		return err
	}
	p.acks = p.ch.NotifyPublish(make(chan amqp.Confirmation, 1))
	if err = p.ch.Confirm(false); err != nil {
		return err
	}
	_, err = p.ch.QueueDeclare(p.queue, true, false, false, false, nil)
	return err
}

func (p *program) insist(step func() error) {
	for {
		var err error
		if p.ch == nil {
			err = p.open()
		}
		if err == nil {
			err = step()
		}
		if err == nil {
			return
		}
		if p.c != nil {
			p.c.Close()
		}
		p.c, p.ch = nil, nil
		time.Sleep(50 * time.Millisecond)
	}
}

func (p *program) publish(from, to int) {
	for number := from; number < to; number++ {
		p.insist(func() error {
			p.attempts++
			body := fmt.Sprintf("%d.%d", number, p.attempts)
			err := p.ch.PublishWithContext(context.Background(), "", p.queue, true, false,
				amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte(body)})
			if err != nil {
				return err
			}
			if confirm, ok := <-p.acks; !ok || !confirm.Ack {
				return errors.New("it was not confirmed")
			}
			p.confirmed = append(p.confirmed, body)
			return nil
		})
	}
}

// A message, if there is one.
func (p *program) take() (amqp.Delivery, bool, error) {
	d, ok, err := p.ch.Get(p.queue, false)
	if err == nil && ok {
		body := string(d.Body)
		equal(!d.Redelivered && p.comesNew[body], false, body+" comes twice, and does not say so")
		p.seen[body] = true
		p.comesNew[body] = p.comesNew[body] || !d.Redelivered
	}
	return d, ok, err
}

func (p *program) lost() []string {
	var lost []string
	for _, body := range p.confirmed {
		if !p.seen[body] {
			lost = append(lost, body)
		}
	}
	return lost
}

func failover() {
	const before, heldCount, meanwhile, after = 10, 3, 200, 210
	p := &program{queue: name(), seen: map[string]bool{}, comesNew: map[string]bool{}}
	p.publish(0, before)
	first := p.ch
	var held amqp.Delivery
	for i := 0; i < heldCount; i++ {
		held, _, _ = p.take()
	}
	fmt.Println("failover")
	equal(answer(), "failing", "the matrix's answer")
	p.publish(before, meanwhile)
	equal(answer(), "restarted", "the matrix's answer")
	p.publish(meanwhile, after)
	if p.ch == first {
		must(held.Ack(true))
	}
	for deadline := time.Now().Add(patience); p.lost() != nil && time.Now().Before(deadline); {
		p.insist(func() error {
			d, ok, err := p.take()
			if err == nil && ok {
				err = d.Ack(false)
			}
			return err
		})
	}
	equal(p.lost(), []string(nil), "what is lost")
	equal(len(p.confirmed), after, "confirms")
	p.insist(func() error {
		_, err := p.ch.QueueDelete(p.queue, false, false, false)
		return err
	})
	p.c.Close()
}

func replyTo() {
	c := connect()
	defer c.Close()
	asker, server := channel(c), channel(c)
	q := ownQueue(server, nil)
	answers := consume(asker, "amq.rabbitmq.reply-to", true)
	for i := 0; i < 3; i++ {
		publish(asker, "", q, false, amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to",
			CorrelationId: fmt.Sprint(i), Body: []byte("question")})
		d := get(server, q, true)
		publish(server, "", d.ReplyTo, false, amqp.Publishing{CorrelationId: d.CorrelationId,
			Body: append(d.Body, '!')})
		answer := <-answers
		equal(answer.CorrelationId, fmt.Sprint(i), "correlation id")
		equal(string(answer.Body), "question!", "answer")
	}
}

func withTLS() {
	pem, err := os.ReadFile(os.Getenv("AMQP_CA"))
	must(err)
	pool := x509.NewCertPool()
	equal(pool.AppendCertsFromPEM(pem), true, "certificate")
	c, err := amqp.DialTLS("amqps://guest:guest@localhost:"+tlsPort+"/", &tls.Config{RootCAs: pool})
	must(err)
	defer c.Close()
	ch := channel(c)
	q := ownQueue(ch, nil)
	send(ch, "", q, "x")
	equal(bodies(ch, q, 1), []string{"x"}, "message")
}

var scenarios = []struct {
	name string
	run  func()
}{
	{"login", login},
	{"wrong-password", wrongPassword},
	{"heartbeats", heartbeats},
	{"properties", properties},
	{"headers", headers},
	{"confirms", confirms},
	{"mandatory", mandatory},
	{"prefetch", prefetch},
	{"acks", acks},
	{"dead-letter", deadLetter},
	{"transactions", transactions},
	{"exchanges", exchanges},
	{"queues", queues},
	{"cancel-notify", cancelNotify},
	{"channel-error", channelError},
	{"large-body", largeBody},
	{"failover", failover},
	{"reply-to", replyTo},
	{"tls", withTLS},
}

// What was wrong, or nil; a scenario that hangs has failed.
func outcome(run func()) interface{} {
	done := make(chan interface{}, 1)
	go func() {
		defer func() { done <- recover() }()
		run()
	}()
	select {
	case wrong := <-done:
		return wrong
	case <-time.After(2 * patience):
		return "it took too long"
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	for i, s := range scenarios {
		if wrong := outcome(s.run); wrong != nil {
			fmt.Fprintf(out, "not ok %d - %s\n# %v\n", i+1, s.name, wrong)
		} else {
			fmt.Fprintf(out, "ok %d - %s\n", i+1, s.name)
		}
		out.Flush()
	}
	fmt.Fprintf(out, "1..%d\n", len(scenarios))
	out.Flush()
}
