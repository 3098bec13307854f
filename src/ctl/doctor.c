/* What is unwise here. Everything is asked first; each check looks at what was answered, and adds what
 * it finds, with numbers and names. */
#include "ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "ctl/nodes.h"
#include "ctl/rows.h"
#include "ctl/say.h"
#include "ctl/verbs.h"

enum { CODE_WARNINGS = 1, CODE_CRITICAL = 2 };

static const struct {
    enum severity severity;
    const char *code, *what, *why, *next;
} findings[FINDING_COUNT] = {
#define FINDING(code, severity, what, why, next) {SEVERITY_##severity, #code, what, why, next},
#include "ctl/findings.def"
#undef FINDING
};

static const char *severity_name(enum severity severity)
{
    static const char *const names[] = {"critical", "warning", "note"};
    return names[severity];
}

/* ---- where it is ---- */

/* As a word for a shell. */
static void add_word(struct buffer *out, struct bytes text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@:-";
    size_t i = 0;
    while (i < text.size && memchr(plain, text.data[i], sizeof(plain) - 1))
        i++;
    if (i == text.size && text.size) {
        buffer_add(out, text.data, text.size);
        return;
    }
    buffer_add_u8(out, '\'');
    for (i = 0; i < text.size; i++)
        if (text.data[i] == '\'')
            buffer_add(out, "'\\''", 4);
        else
            buffer_add_u8(out, text.data[i]);
    buffer_add_u8(out, '\'');
}

void doctor_place(struct doctor *doctor, struct bytes vhost)
{
    struct buffer word = {0};
    doctor->place[0] = '\0';
    if (!vhost.data)
        snprintf(doctor->place, sizeof(doctor->place), " -p VHOST");
    else if (!bytes_equal_str(vhost, "/")) {
        add_word(&word, vhost);
        snprintf(doctor->place, sizeof(doctor->place), " -p %.*s", BYTES_ARG(buffer_bytes(&word)));
    }
    buffer_free(&word);
}

void doctor_place_all(struct doctor *doctor)
{
    struct names names = {0};
    for (size_t i = 0; i < json_count(doctor->vhosts); i++)
        names_in(&names, json_text(json_find(json_item(doctor->vhosts, i), "name")));
    doctor_place(doctor, names.vhost);
}

static void add_hint(struct json_writer *writer, const char *text, const char *place)
{
    static const char mark[] = "{-p}";
    struct buffer hint = {0};
    const char *at;
    for (; (at = strstr(text, mark)); text = at + strlen(mark)) {
        buffer_add(&hint, text, (size_t)(at - text));
        buffer_add(&hint, place, strlen(place));
    }
    buffer_add(&hint, text, strlen(text));
    json_add_text(writer, "next", buffer_bytes(&hint));
    buffer_free(&hint);
}

/* ---- what is found ---- */

void doctor_find(struct doctor *doctor, enum finding finding, const char *format, ...)
{
    char detail[1000];
    struct json_writer *writer = &doctor->writer;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    if (findings[finding].severity < doctor->worst)
        doctor->worst = findings[finding].severity;
    writer->mends = true;
    json_open(writer, '{');
    json_add_text(writer, "severity", bytes_str(severity_name(findings[finding].severity)));
    json_add_text(writer, "code", bytes_str(findings[finding].code));
    json_add_text(writer, "what", bytes_str(findings[finding].what));
    json_add_text(writer, "detail", bytes_str(detail));
    json_add_text(writer, "why", bytes_str(findings[finding].why));
    add_hint(writer, findings[finding].next, doctor->place);
    doctor->place[0] = '\0';
    json_close(writer, '}');
}

static struct bytes text_of(const struct json *object, const char *name)
{
    return json_text(json_find(object, name));
}

static long long whole_of(const struct json *object, const char *name)
{
    return json_whole(json_find(object, name));
}

/* ---- the node ---- */

/* Where the longest queue is. */
static void place_longest(struct doctor *doctor)
{
    long long most = -1;
    for (size_t i = 0; i < json_count(doctor->queues); i++) {
        const struct json *queue = json_item(doctor->queues, i);
        if (whole_of(queue, "messages") <= most)
            continue;
        most = whole_of(queue, "messages");
        doctor_place(doctor, text_of(queue, "vhost"));
    }
}

static void check_memory(struct doctor *doctor)
{
    const struct json *node = doctor->node;
    long long used = whole_of(node, "mem_used"), limit = whole_of(node, "mem_limit");
    place_longest(doctor);
    if (json_flag(json_find(node, "mem_alarm")))
        doctor_find(doctor, FOUND_memory_alarm, "limit: %lld MiB", limit >> 20);
    else if (limit == 0)
        doctor_find(doctor, FOUND_no_memory_limit, "in use: %lld MiB", used >> 20);
    else if (used > limit / 5 * 4)
        doctor_find(doctor, FOUND_memory_near, "%lld of %lld MiB", used >> 20, limit >> 20);
    doctor->place[0] = '\0';
}

static void check_disk(struct doctor *doctor)
{
    const struct json *node = doctor->node;
    long long disk = whole_of(node, "disk_free"), reserve = whole_of(node, "disk_free_limit");
    if (json_flag(json_find(node, "disk_free_alarm")))
        doctor_find(doctor, FOUND_disk_alarm, "free: %lld MiB, reserve: %lld MiB", disk >> 20,
                    reserve >> 20);
    else if (disk && disk < 2 * reserve)
        doctor_find(doctor, FOUND_disk_near, "free: %lld MiB, reserve: %lld MiB", disk >> 20,
                    reserve >> 20);
}

static void check_descriptors(struct doctor *doctor)
{
    const struct json *node = doctor->node;
    long long files = whole_of(node, "fd_used"), files_max = whole_of(node, "fd_total");
    long long sockets = whole_of(node, "sockets_used"), sockets_max = whole_of(node, "sockets_total");
    if (files > files_max / 5 * 4 || (sockets_max && sockets > sockets_max / 5 * 4))
        doctor_find(doctor, FOUND_descriptors_near, "%lld of %lld files, %lld of %lld sockets", files,
                    files_max, sockets, sockets_max);
    else if (files_max < 4096)
        doctor_find(doctor, FOUND_descriptors_few, "%lld", files_max);
}

static void check_store(struct doctor *doctor)
{
    struct bytes kind = text_of(doctor->facts, "file_system");
    struct bytes folder = text_of(doctor->node, "db_dir");
    if (bytes_equal_str(kind, "nfs"))
        doctor_find(doctor, FOUND_store_on_network, "%.*s: %.*s", BYTES_ARG(folder), BYTES_ARG(kind));
    else if (kind.size)
        doctor_find(doctor, FOUND_store_temporary, "%.*s: %.*s", BYTES_ARG(folder), BYTES_ARG(kind));
}

enum { CLOCK_OFF_MS = 30000, CLOCK_SET_MS = 5000 };

static void check_clock(struct doctor *doctor)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    long long here = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
    long long there = whole_of(doctor->facts, "clock_ms");
    long long off = there - here, set = there - whole_of(doctor->facts, "message_clock_ms");
    if (off > CLOCK_OFF_MS || off < -CLOCK_OFF_MS)
        doctor_find(doctor, FOUND_clock, "it is off by %lld seconds", off / 1000);
    if (set > CLOCK_SET_MS || set < -CLOCK_SET_MS)
        doctor_find(doctor, FOUND_clock_was_set, "by %lld seconds", set / 1000);
}

/* ---- who can reach it ---- */

static bool is_loopback(struct bytes address)
{
    return bytes_start_with(address, "127.") || bytes_equal_str(address, "::1") ||
           bytes_start_with(address, "::ffff:127.");
}

static void check_listeners(struct doctor *doctor)
{
    const struct json *listeners = json_find(doctor->overview, "listeners");
    const struct json *guest = json_find(doctor->facts, "guest");
    bool is_default = json_flag(json_find(guest, "has_default_password"));
    struct names plain = {0};
    size_t open = 0;
    for (size_t i = 0; i < json_count(listeners); i++) {
        const struct json *one = json_item(listeners, i);
        struct bytes protocol = text_of(one, "protocol");
        if (is_loopback(text_of(one, "ip_address")))
            continue;
        open++;
        if (bytes_equal_str(protocol, "amqp") || bytes_equal_str(protocol, "http"))
            names_add(&plain, "%.*s at port %lld", BYTES_ARG(protocol), whole_of(one, "port"));
    }
    if (plain.count)
        doctor_find(doctor, FOUND_plain_from_afar, "%s", plain.text);
    if (is_default && open && json_flag(json_find(guest, "may_come_from_afar")))
        doctor_find(doctor, FOUND_guest_from_afar, "%zu listeners are open to others", open);
    else if (is_default)
        doctor_find(doctor, FOUND_guest_default, "it may come from this machine alone");
}

/* What of a listener ends, as a health check lists it. */
struct ending {
    const char *file, *expires_on; /* members of each */
    enum finding ended, ends;
    const char *unit;
    long long unit_s;
};

static void check_endings(struct doctor *doctor, const struct json *answer, const struct ending *what)
{
    const struct json *list = json_find(answer, "expired");
    long long now = whole_of(doctor->facts, "clock_ms") / 1000;
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *one = json_item(list, i);
        long long left = whole_of(one, what->expires_on) - now;
        struct bytes file = text_of(one, what->file);
        if (left <= 0)
            doctor_find(doctor, what->ended, "%.*s, port %lld", BYTES_ARG(file), whole_of(one, "port"));
        else
            doctor_find(doctor, what->ends, "%.*s, port %lld: in %lld %s", BYTES_ARG(file), whole_of(one, "port"),
                        left / what->unit_s, what->unit);
    }
}

static void check_certificates(struct doctor *doctor)
{
    static const struct ending certificate = {
        "certfile", "certfile_expires_on", FOUND_certificate_ended, FOUND_certificate_ends, "days", 86400};
    static const struct ending revoked = {
        "crlfile", "crlfile_expires_on", FOUND_revocations_ended, FOUND_revocations_end, "minutes", 60};
    check_endings(doctor, doctor->certificates, &certificate);
    check_endings(doctor, doctor->revocations, &revoked);
}

static void check_publishers(struct doctor *doctor)
{
    const struct json *counts = json_find(doctor->facts, "unroutable");
    long long dropped = whole_of(counts, "dropped"), returned = whole_of(counts, "returned");
    doctor_place_all(doctor);
    if (dropped)
        doctor_find(doctor, FOUND_unroutable, "%lld since the start", dropped);
    doctor_place_all(doctor);
    if (returned)
        doctor_find(doctor, FOUND_returned, "%lld since the start", returned);
    doctor->place[0] = '\0';
}

static void check_traces(struct doctor *doctor)
{
    struct names names = {0};
    for (size_t i = 0; i < json_count(doctor->vhosts); i++) {
        const struct json *vhost = json_item(doctor->vhosts, i);
        if (!json_flag(json_find(vhost, "tracing")))
            continue;
        names_in(&names, text_of(vhost, "name"));
        names_add(&names, "%.*s", BYTES_ARG(text_of(vhost, "name")));
    }
    if (!names.count)
        return;
    doctor_place(doctor, names.vhost);
    doctor_find(doctor, FOUND_traced, "%s", names.text);
}

/* ---- the whole ---- */

void names_in(struct names *names, struct bytes vhost)
{
    bool is_same = !names->is_placed || (names->vhost.data && bytes_equal(names->vhost, vhost));
    names->vhost = is_same ? vhost : bytes_of(NULL, 0);
    names->is_placed = true;
}

void names_add(struct names *names, const char *format, ...)
{
    char name[600];
    va_list arguments;
    if (++names->count > NAMES_SHOWN)
        return;
    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    size_t size = strlen(names->text);
    snprintf(names->text + size, sizeof(names->text) - size, "%s%s", size ? ", " : "", name);
}

static const char queues_request[] =
    "GET /queues?columns=name,vhost,durable,exclusive,auto_delete,messages,consumers,arguments,"
    "effective_policy_definition";

static struct json *read_certificates(struct command *command, int *code)
{
    return node_read_any(command, "GET /health/checks/certificate-expiration/30/days", code);
}

static struct json *read_revocations(struct command *command, int *code)
{
    return node_read_any(command, "GET /health/checks/revocation-list-expiration/12/hours", code);
}

/* The queues are looked at twice, a second apart. */
static int ask(struct command *command, struct doctor *doctor)
{
    struct timespec pause = {1, 0};
    int code = 0;
    if (!command_node(command))
        return EXIT_UNAVAILABLE;
    if (!(doctor->before = node_read(command, queues_request, &code)) ||
        !(doctor->overview = node_read(command, "GET /overview", &code)) ||
        !(doctor->node = node_read(command, "GET /nodes/{node}", &code)) ||
        !(doctor->facts = node_read(command, "GET /facts", &code)) ||
        !(doctor->vhosts = node_read(command, "GET /vhosts", &code)) ||
        !(doctor->exchanges = node_read(command, "GET /exchanges?columns=name,vhost", &code)) ||
        !(doctor->bindings = node_read(command, "GET /bindings?columns=source,vhost", &code)) ||
        !(doctor->certificates = read_certificates(command, &code)) ||
        !(doctor->revocations = read_revocations(command, &code)))
        return code;
    if (json_count(doctor->before))
        nanosleep(&pause, NULL);
    doctor->queues = node_read(command, queues_request, &code);
    return code;
}

static void examine(struct doctor *doctor)
{
    check_memory(doctor);
    check_disk(doctor);
    check_descriptors(doctor);
    check_store(doctor);
    check_clock(doctor);
    check_listeners(doctor);
    check_certificates(doctor);
    check_publishers(doctor);
    check_traces(doctor);
    doctor_check_queues(doctor);
}

static void print_all(const struct json *list)
{
    for (int severity = 0; severity <= SEVERITY_NOTE; severity++)
        for (size_t i = 0; i < json_count(list); i++) {
            const struct json *one = json_item(list, i);
            struct bytes detail = text_of(one, "detail");
            if (!bytes_equal_str(text_of(one, "severity"), severity_name((enum severity)severity)))
                continue;
            printf("%s %.*s: %.*s\n", severity_name((enum severity)severity),
                   BYTES_ARG(text_of(one, "code")), BYTES_ARG(text_of(one, "what")));
            if (detail.size)
                printf("    Found: %.*s\n", BYTES_ARG(detail));
            printf("    Why: %.*s\n    Do: %.*s\n", BYTES_ARG(text_of(one, "why")),
                   BYTES_ARG(text_of(one, "next")));
        }
    if (json_count(list) == 0)
        printf("Nothing is found to be unwise.\n");
}

static int show(struct command *command, struct doctor *doctor)
{
    char error[200];
    int code = 0;
    json_close(&doctor->writer, ']');
    struct json *list = json_parse(buffer_bytes(&doctor->found), error, sizeof(error));
    if (!list)
        return say_fail(command, EXIT_SOFTWARE, "%s", error);
    if (command->has_format || command_has(command, "columns") || command_has(command, "filter"))
        code = rows_show(command, command->verb->columns, buffer_bytes(&doctor->found));
    else
        print_all(list);
    json_release(list);
    return code;
}

static void release(struct doctor *doctor)
{
    json_release(doctor->overview);
    json_release(doctor->node);
    json_release(doctor->facts);
    json_release(doctor->vhosts);
    json_release(doctor->exchanges);
    json_release(doctor->bindings);
    json_release(doctor->certificates);
    json_release(doctor->revocations);
    json_release(doctor->before);
    json_release(doctor->queues);
    buffer_free(&doctor->found);
}

int run_doctor(struct command *command)
{
    struct doctor doctor = {.worst = SEVERITY_NOTE + 1};
    int code = 0;
    bool is_list = command_has(command, "list");
    doctor.writer = json_writer_of(&doctor.found);
    json_open(&doctor.writer, '[');
    if (!is_list && (code = ask(command, &doctor)) == 0)
        examine(&doctor);
    for (int finding = 0; is_list && finding < FINDING_COUNT; finding++)
        doctor_find(&doctor, (enum finding)finding, "%s", "");
    if (code == 0)
        code = show(command, &doctor);
    release(&doctor);
    if (code || is_list || doctor.worst > SEVERITY_WARNING)
        return code;
    return doctor.worst == SEVERITY_WARNING ? CODE_WARNINGS : CODE_CRITICAL;
}
