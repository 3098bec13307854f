/* Runs scripts: the files named, those in the folders named, or all in tests/script/cases, each
 * against a broker of its own. A script is a test of one behaviour, line by line:
 *
 *     c1: connect [no-channel] [remote] [quiet] [relayed|resumed] [frame_max=N] [heartbeat=N] [user=U]
 *             [vhost=V]                 greets, logs in as guest, opens `/` and channel 1;
 *                                       quiet: without capabilities; relayed: another broker
 *                                       speaks for it, resumed: and has served it (peer/relayed.h);
 *                                       another user's password is its name
 *     c1: dial [remote]                 a connection that has said nothing
 *     c1: greet                         sends the protocol header
 *     c1: bytes 414d5150 "text"         sends bytes
 *     c1: send 1 queue.declare queue=q  sends a method on channel 1 (text as in amqp/text.h)
 *     c1: content 1 "body" delivery_mode=2
 *                                       sends content header and body; size:N is a body of N bytes
 *     c1: again 1 100                   sends the last method and the last content 100 times more
 *     c1: expect 1 queue.declare-ok queue=q message_count=0
 *                                       the next frame is this method, as far as fields are given
 *     c1: expect-content 1 "body" delivery_mode=2
 *                                       the next frames are this content
 *     c1: heartbeat                     the next frame is a heartbeat
 *     c1: expect-note 1 0400010f        the next frame is one with these contents (peer/relayed.h)
 *     c1: nothing                       there is no next frame
 *     c1: ended                         the broker has closed the connection
 *     c1: hang-up                       the client closes it
 *     c1: waits / reads                 the broker does not, or does, read from the connection
 *     c1: stop-reading / go-on          the client does not take what is sent to it
 *     c1: cork / uncork                 what is sent between them arrives in one piece
 *     clock 1000                        moves the clock by so many ms
 *     syncer hold / syncer go           nothing becomes durable / all does
 *     reader hold / reader go           nothing is read back / all is
 *     turns 1 / turns all               each line gives the broker one turn / as many as it needs
 *     disk full / disk free             no more room for journal / plenty
 *     disk size 100000000               that of the disk from now on, in bytes
 *     disk others 50000000              what other programs have on it
 *     disk broken                       every call fails from now on
 *     option NAME VALUE                 before the first connect: an option; restarts the broker
 *     user NAME PASSWORD [TAGS]         there is this user from now on
 *     vhost NAME                        and this virtual host
 *     permit USER VHOST CONFIGURE WRITE READ
 *     topics USER VHOST EXCHANGE WRITE READ
 *                                       what a user may do there, "" for the empty pattern
 *     forbid USER VHOST                 nothing any more
 *     limit-user USER CONNECTIONS CHANNELS
 *     limit-vhost VHOST CONNECTIONS QUEUES
 *     quota-user USER max-publish-rate 100
 *     quota-vhost VHOST max-messages 100
 *                                       or `none`; the names are those of broker/quota.h
 *     delete-user NAME / delete-vhost NAME
 *     trace VHOST on / trace VHOST off  the firehose
 *     policy NAME PATTERN APPLY-TO PRIORITY {max-length:i64 5}
 *     operator-policy ... / delete-policy NAME / delete-operator-policy NAME
 *                                       policies of the virtual host `/`
 *     shutdown                          the broker says good-bye
 *     logged TEXT / not-logged TEXT     since the last such word a line of the log held this, or not
 *     restart / crash                   the broker stops and starts; crash: power was lost
 *
 * The connection may be left out where it is c1. $name in an expected field takes the value and
 * stands for it from then on. '#' begins a comment. A line that does not hold fails the script and
 * ends it.
 *
 *     runner [--uri amqp://HOST:PORT] [--oracle [--plugins] [--control COMMAND]] [FILE|FOLDER]...
 *
 * With --uri the broker is not one in memory but the one there, over sockets, and what the script
 * declares is deleted before and after it. Scripts with words for the clock, the disk and the like
 * are left out, and so are those that say why not, by a line of their own:
 *
 *     needs memory: REASON
 *
 * What RabbitMQ has only by a plugin is told too; without --plugins such a script is left out
 * there:
 *
 *     needs plugin: NAME
 *
 * With --oracle that broker is RabbitMQ; scripts with policies run there with --control, which is how
 * to call its rabbitmqctl. Where it does something else, a line tells why:
 *
 *     rabbitmq: differs, because REASON
 *     rabbitmq: may differ, because REASON
 *
 * All lines before it must hold there, too. One of the rest must not (or may not, where chance
 * decides), and ends the script. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "amqp/frame.h"
#include "base/mem.h"
#include "tests/lib/disk_memory.h"
#include "tests/lib/tap.h"
#include "tests/script/access.h"
#include "tests/script/policies.h"
#include "tests/script/run.h"
#include "tests/script/survey.h"

enum { DIFFERENCE_MS = 1000 };

/* What the command line says. */
struct target {
    char host[256], port[16]; /* "": it is in memory, made anew for each script */
    bool is_oracle, has_plugins;
    const char *control; /* RabbitMQ's command-line tool, as a command; NULL: there is none */
};

struct tally {
    unsigned ran, differ, memory, plugin;
};

/* ---- the handshake in one line ---- */

static void say(struct run *run, struct client *client, const char *text)
{
    if (!run->fault[0])
        run_send_method(run, client, 0, text);
    run_settle(run);
}

static void hear(struct run *run, struct client *client, const char *text)
{
    if (!run->fault[0])
        expect_method(run, client, 0, text);
}

static const char start_ok[] =
    "connection.start-ok mechanism=PLAIN response=\"\\x00%s\\x00%s\" locale=en_US "
    "client_properties={capabilities:table {consumer_cancel_notify:bool true, "
    "connection.blocked:bool true, authentication_failure_close:bool true}}";

static const char quiet_start_ok[] =
    "connection.start-ok mechanism=PLAIN response=\"\\x00%s\\x00%s\" locale=en_US";

static void connect_client(struct run *run, struct client *client, char *line)
{
    bool with_channel = true, is_loopback = true, is_quiet = false, is_relayed = false, is_resumed = false;
    unsigned frame_max = 131072, heartbeat = 0;
    char tune_ok[100], open[100], start[400], user[60] = "guest", vhost[60] = "/";
    for (char *option = run_word(&line); *option; option = run_word(&line)) {
        with_channel &= strcmp(option, "no-channel") != 0;
        is_loopback &= strcmp(option, "remote") != 0;
        is_quiet |= strcmp(option, "quiet") == 0;
        is_resumed |= strcmp(option, "resumed") == 0;
        is_relayed |= strcmp(option, "relayed") == 0 || is_resumed;
        sscanf(option, "frame_max=%u", &frame_max);
        sscanf(option, "heartbeat=%u", &heartbeat);
        sscanf(option, "user=%59s", user);
        sscanf(option, "vhost=%59s", vhost);
    }
    int size = snprintf(start, sizeof(start), is_quiet ? quiet_start_ok : start_ok, user, user);
    if (size < 0 || (size_t)size >= sizeof(start))
        bail("the user's name is too long");
    snprintf(open, sizeof(open), "connection.open virtual_host=%s", vhost);
    snprintf(tune_ok, sizeof(tune_ok),
             "connection.tune-ok channel_max=2047 frame_max=%u heartbeat=%u", frame_max, heartbeat);
    client->is_relayed = is_relayed;
    client->is_resumed = is_resumed;
    run_dial(run, client, is_loopback);
    if (run->fault[0])
        return;
    buffer_add(&client->out, protocol_header, PROTOCOL_HEADER_SIZE);
    run_settle(run);
    hear(run, client, "connection.start version_major=0 version_minor=9");
    say(run, client, start);
    hear(run, client, "connection.tune");
    say(run, client, tune_ok);
    say(run, client, open);
    hear(run, client, "connection.open-ok");
    if (!with_channel || run->fault[0])
        return;
    run_send_method(run, client, 1, "channel.open");
    run_settle(run);
    expect_method(run, client, 1, "channel.open-ok");
}

/* ---- lines ---- */

/* Words that concern one connection. False: not one of them. */
static bool client_line(struct run *run, struct client *client, const char *verb, char *line)
{
    if (strcmp(verb, "connect") == 0)
        connect_client(run, client, line);
    else if (strcmp(verb, "dial") == 0)
        run_dial(run, client, strcmp(run_word(&line), "remote") != 0);
    else if (strcmp(verb, "greet") == 0)
        buffer_add(&client->out, protocol_header, PROTOCOL_HEADER_SIZE);
    else if (strcmp(verb, "bytes") == 0)
        run_send_bytes(run, client, line);
    else if (strcmp(verb, "heartbeat") == 0)
        expect_heartbeat(run, client);
    else if (strcmp(verb, "nothing") == 0)
        expect_nothing(run, client);
    else if (strcmp(verb, "hang-up") == 0)
        run_hang_up(run, client);
    else if (strcmp(verb, "stop-reading") == 0)
        client->is_deaf = true;
    else if (strcmp(verb, "go-on") == 0)
        client->is_deaf = false;
    else if (strcmp(verb, "cork") == 0)
        client->is_corked = true;
    else if (strcmp(verb, "uncork") == 0)
        client->is_corked = false;
    else if (strcmp(verb, "ended") == 0 && !run_has_ended(run, client))
        run_fault(run, "the connection is still there");
    else if (strcmp(verb, "waits") == 0 &&
             (!client->connection || conversation_wants_input(client->connection)))
        run_fault(run, "the broker reads");
    else if (strcmp(verb, "reads") == 0 &&
             (!client->connection || !conversation_wants_input(client->connection)))
        run_fault(run, "the broker does not read");
    else
        return strcmp(verb, "ended") == 0 || strcmp(verb, "waits") == 0 ||
               strcmp(verb, "reads") == 0;
    return true;
}

static void send_again(struct run *run, struct client *client, uint16_t channel,
                       unsigned long times)
{
    char line[LINE_SIZE];
    for (unsigned long i = 0; i < times; i++) {
        run_send_method(run, client, channel, run->sent);
        memcpy(line, run->content, sizeof(line));
        run_send_content(run, client, channel, line);
    }
}

/* Words that concern one channel of one connection. */
static bool channel_line(struct run *run, struct client *client, const char *verb, char *line)
{
    if (strcmp(verb, "send") != 0 && strcmp(verb, "content") != 0 && strcmp(verb, "expect") != 0 &&
        strcmp(verb, "expect-content") != 0 && strcmp(verb, "expect-note") != 0 && strcmp(verb, "again") != 0)
        return false;
    uint16_t channel = (uint16_t)strtoul(run_word(&line), NULL, 10);
    if (strcmp(verb, "send") == 0)
        snprintf(run->sent, sizeof(run->sent), "%s", line);
    else if (strcmp(verb, "content") == 0)
        snprintf(run->content, sizeof(run->content), "%s", line);
    if (strcmp(verb, "again") == 0)
        send_again(run, client, channel, strtoul(line, NULL, 10));
    else if (strcmp(verb, "send") == 0)
        run_send_method(run, client, channel, line);
    else if (strcmp(verb, "content") == 0)
        run_send_content(run, client, channel, line);
    else if (strcmp(verb, "expect-note") == 0)
        expect_note(run, client, channel, run_word(&line));
    else if (strcmp(verb, "expect") == 0)
        expect_method(run, client, channel, line);
    else
        expect_content(run, client, channel, line);
    return true;
}

static bool set_option(struct world *world, const char *name, uint64_t value)
{
    struct store_options *store = &world->store_options;
    struct server_options *server = &world->options;
    if (strcmp(name, "message_bytes_max") == 0)
        server->message_bytes_max = value;
    else if (strcmp(name, "consumer_timeout_ms") == 0)
        server->consumer_timeout_ms = value;
    else if (strcmp(name, "memory_bytes_max") == 0)
        server->memory_bytes_max = value;
    else if (strcmp(name, "output_bytes_max") == 0)
        server->output_bytes_max = (uint32_t)value;
    else if (strcmp(name, "trace_frames") == 0)
        server->trace_frames = value;
    else if (strcmp(name, "event_exchange") == 0)
        server->event_exchange = value;
    else if (strcmp(name, "allow_anonymous") == 0)
        server->allow_anonymous = value;
    else if (strcmp(name, "ignore_client_x_death") == 0)
        server->ignore_client_x_death = value;
    else if (strcmp(name, "batch_bytes") == 0)
        store->batch_bytes = (uint32_t)value;
    else if (strcmp(name, "batch_max_bytes") == 0)
        store->batch_max_bytes = (uint32_t)value;
    else if (strcmp(name, "bodies_burst_bytes") == 0)
        store->bodies_burst_bytes = value;
    else if (strcmp(name, "bodies_idle_bytes") == 0)
        store->bodies_idle_bytes = value;
    else if (strcmp(name, "chunk_entries") == 0)
        store->chunk_entries = (uint32_t)value;
    else if (strcmp(name, "cache_bytes") == 0)
        store->cache_bytes = value;
    else
        return false;
    world_restart(world, false);
    return true;
}

/* Words that concern the log. */
static bool log_line(struct run *run, const char *verb, const char *text)
{
    bool is_wanted = strcmp(verb, "logged") == 0;
    if (!is_wanted && strcmp(verb, "not-logged") != 0)
        return false;
    if (world_has_logged(&run->world, text) != is_wanted)
        run_fault(run,
                  is_wanted ? "no line of the log holds this" : "a line of the log holds this");
    return true;
}

/* Words that concern the whole broker. */
static bool world_line(struct run *run, const char *verb, char *line)
{
    struct world *world = &run->world;
    const char *what = run_word(&line);
    if (strcmp(verb, "clock") == 0) {
        world_advance(world, strtoull(what, NULL, 10));
    } else if (strcmp(verb, "syncer") == 0) {
        world->is_syncer_held = strcmp(what, "hold") == 0;
    } else if (strcmp(verb, "reader") == 0) {
        world->is_reader_held = strcmp(what, "hold") == 0;
    } else if (strcmp(verb, "turns") == 0) {
        world->turns_max = atoi(what);
    } else if (strcmp(verb, "disk") == 0 && strcmp(what, "broken") == 0) {
        disk_memory_fail(world->disk, 1, EIO, true);
    } else if (strcmp(verb, "disk") == 0 && strcmp(what, "size") == 0) {
        disk_memory_limit(world->disk, strtoull(line, NULL, 10));
    } else if (strcmp(verb, "disk") == 0 && strcmp(what, "others") == 0) {
        disk_memory_take(world->disk, strtoull(line, NULL, 10));
    } else if (strcmp(verb, "disk") == 0) {
        disk_memory_limit(world->disk, strcmp(what, "full") == 0 ? 1 : 0);
    } else if (strcmp(verb, "shutdown") == 0) {
        service_shutdown(world->service);
    } else if (strcmp(verb, "restart") == 0 || strcmp(verb, "crash") == 0) {
        world_restart(world, strcmp(verb, "crash") == 0);
    } else if (strcmp(verb, "option") == 0) {
        if (!set_option(world, what, strtoull(line, NULL, 10)))
            run_fault(run, "no option %s", what);
    } else {
        return false;
    }
    return true;
}

/* A line that concerns one channel comes after what the others were asked for; one that concerns no
 * channel, or asks whether there is anything, after all of it. */
static void sync_others(struct run *run, struct client *client, const char *verb, const char *line)
{
    if (strcmp(verb, "send") == 0 || strcmp(verb, "expect") == 0 || strcmp(verb, "content") == 0 ||
        strcmp(verb, "expect-content") == 0 || strcmp(verb, "again") == 0)
        sockets_sync(&run->sockets, client, (uint16_t)strtoul(line, NULL, 10));
    else if (strcmp(verb, "ended") != 0 && strcmp(verb, "bytes") != 0)
        sockets_sync(&run->sockets, NULL, 0);
}

static void run_line(struct run *run, char *line)
{
    int number = 1;
    int used = 0;
    line[strcspn(line, "\r\n")] = '\0';
    line += strspn(line, " \t");
    if (sscanf(line, "c%d:%n", &number, &used) == 1 && used)
        line += used;
    if (number < 1 || number > CLIENTS_MAX) {
        run_fault(run, "no connection c%d", number);
        return;
    }
    struct client *client = run_client_of(run, number);
    char *verb = run_word(&line);
    if (*verb == '\0' || *verb == '#' || strcmp(verb, "needs") == 0)
        return;
    if (strcmp(verb, "rabbitmq:") == 0) {
        run->may_differ = true;
        return;
    }
    if (run->is_remote)
        sync_others(run, client, verb, line);
    run->looks = 0;
    if (!client_line(run, client, verb, line) && !channel_line(run, client, verb, line) &&
        !log_line(run, verb, line) && !access_line(run, verb, line) &&
        !policies_line(run, verb, line) && !world_line(run, verb, line))
        run_fault(run, "unknown word %s", verb);
    run_settle(run);
}

/* ---- a broker that other scripts use, too ---- */

/* Sends a method that is answered, and tells whether the answer is the one wanted. After another
 * one the connection has to be made again. */
static bool ask(struct run *run, struct client *client, const char *text, const char *answer)
{
    if (!run->fault[0])
        run_send_method(run, client, 1, text);
    run_settle(run);
    if (!run->fault[0])
        expect_method(run, client, 1, answer);
    return !run->fault[0];
}

/* Connections that end take a moment to give back what was theirs. */
static bool delete_name(struct run *run, struct client *client, const struct survey_name *name)
{
    char text[SURVEY_NAME_SIZE + 40], connect[] = "", why[sizeof(run->fault)];
    const char *noun = name->is_queue ? "queue" : "exchange";
    snprintf(text, sizeof(text), "%s.delete %s=%s", noun, noun, name->name);
    const char *answer = name->is_queue ? "queue.delete-ok" : "exchange.delete-ok";
    for (int waited = 0; waited < run->sockets.patience_ms; waited += RETRY_MS) {
        run->fault[0] = '\0';
        if (waited || !run->sockets.sockets[client - run->sockets.clients].is_open)
            connect_client(run, client, connect);
        if (ask(run, client, text, answer))
            return true;
        memcpy(why, run->fault, sizeof(why));
        poll(NULL, 0, RETRY_MS);
    }
    run_fault(run, "%.200s: %.1800s", text, why);
    return false;
}

/* Deletes what the script declares. */
static void clean(const struct target *target, const struct survey *survey, const char *name)
{
    struct run *run = mem_zalloc(sizeof(*run));
    run->is_remote = true;
    sockets_init(&run->sockets, target->host, target->port);
    for (int queues = 1; queues >= 0; queues--)
        for (size_t i = 0; i < survey->name_count && !run->fault[0]; i++)
            if (survey->names[i].is_queue == (queues == 1))
                delete_name(run, &run->sockets.clients[0], &survey->names[i]);
    if (run->fault[0])
        diag("%s leaves something behind: %s", name, run->fault);
    sockets_close(&run->sockets);
    mem_free(run);
}

/* ---- scripts ---- */

static void run_lines(struct run *run, FILE *file, const char *name, const struct target *target)
{
    char line[LINE_SIZE], shown[LINE_SIZE];
    for (int number = 1; !run->fault[0] && fgets(line, sizeof(line), file); number++) {
        memcpy(shown, line, sizeof(shown));
        run_line(run, line);
        if (run->may_differ && target->is_oracle)
            run->sockets.patience_ms = DIFFERENCE_MS;
        if (run->fault[0])
            diag("%s:%d: %.*s", name, number, (int)strcspn(shown, "\n"), shown);
    }
    if (run->fault[0])
        diag("%s", run->fault);
}

static void run_in_memory(FILE *file, const char *name, const struct target *target)
{
    struct run *run = mem_zalloc(sizeof(*run));
    world_new(&run->world, getenv("SCRIPT_LOG") != NULL);
    run_lines(run, file, name, target);
    ok(!run->fault[0], "%s", name);
    world_free(&run->world);
    mem_free(run);
}

static void run_remote(FILE *file, const char *name, const struct target *target,
                       struct tally *tally)
{
    struct survey found;
    survey(file, &found);
    if (found.memory[0]) {
        diag("%s needs memory: %s", name, found.memory);
        tally->memory++;
        return;
    }
    if (found.has_policies && !target->control) {
        diag("%s needs memory: it sets policies", name);
        tally->memory++;
        return;
    }
    if (found.plugin[0] && target->is_oracle && !target->has_plugins) {
        diag("%s needs plugin: %s", name, found.plugin);
        tally->plugin++;
        return;
    }
    struct run *run = mem_zalloc(sizeof(*run));
    run->is_remote = true;
    run->is_oracle = target->is_oracle;
    run->control = target->control;
    sockets_init(&run->sockets, target->host, target->port);
    clean(target, &found, name);
    run_lines(run, file, name, target);
    policies_clean(run);
    sockets_close(&run->sockets);
    clean(target, &found, name);
    tally->ran++;
    bool differs = run->fault[0] && run->may_differ && run->is_oracle;
    bool must_differ = found.is_marked && run->is_oracle;
    const char *what = differs || must_differ ? ": RabbitMQ differs where the script says so" : "";
    tally->differ += differs;
    ok(differs || (!run->fault[0] && !must_differ), "%s%s", name, what);
    mem_free(run);
}

static void run_script(const char *path, const struct target *target, struct tally *tally)
{
    const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    FILE *file = fopen(path, "r");
    if (!file)
        bail("%s: %s", path, strerror(errno));
    if (target->host[0])
        run_remote(file, name, target, tally);
    else
        run_in_memory(file, name, target);
    fclose(file);
}

static int is_script(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && strcmp(entry->d_name + size - 5, ".amqp") == 0;
}

static void run_folder(const char *folder, const struct target *target, struct tally *tally)
{
    char path[4400];
    struct dirent **entries;
    int count = scandir(folder, &entries, is_script, alphasort);
    if (count < 0)
        bail("%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        run_script(path, target, tally);
        free(entries[i]);
    }
    free(entries);
}

static void run_path(const char *path, const struct target *target, struct tally *tally)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        run_folder(path, target, tally);
    else
        run_script(path, target, tally);
}

/* amqp://HOST:PORT, or without its beginning. */
static void read_uri(const char *uri, struct target *target)
{
    uri += strncmp(uri, "amqp://", 7) == 0 ? 7 : 0;
    const char *colon = strrchr(uri, ':');
    if (!colon || colon - uri >= (ptrdiff_t)sizeof(target->host))
        bail("not HOST:PORT: %s", uri);
    snprintf(target->host, sizeof(target->host), "%.*s", (int)(colon - uri), uri);
    snprintf(target->port, sizeof(target->port), "%.*s", (int)strcspn(colon + 1, "/"), colon + 1);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"uri", required_argument, NULL, 'u'},
                                            {"oracle", no_argument, NULL, 'o'},
                                            {"plugins", no_argument, NULL, 'p'},
                                            {"control", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    struct target target = {.host = ""};
    struct tally tally = {0};
    char folder[4000];
    const char *top = getenv("srcdir");
    snprintf(folder, sizeof(folder), "%s/tests/script/cases", top ? top : ".");
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'u')
            read_uri(optarg, &target);
        else if (option == 'o')
            target.is_oracle = true;
        else if (option == 'p')
            target.has_plugins = true;
        else if (option == 'c')
            target.control = optarg;
        else
            bail("usage: %s [--uri amqp://HOST:PORT] [--oracle [--plugins] [--control COMMAND]] "
                 "[FILE|FOLDER]...",
                 argv[0]);
    }
    for (int i = optind; i < argc; i++)
        run_path(argv[i], &target, &tally);
    if (optind == argc)
        run_folder(folder, &target, &tally);
    if (target.host[0])
        diag("%u ran, %u of them differ; %u need memory, %u a plugin", tally.ran, tally.differ,
             tally.memory, tally.plugin);
    return done();
}
