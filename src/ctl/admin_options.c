/* The command line of rabbitmqadmin, and its configuration file. */
#include <stdarg.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/admin.h"

static const struct row {
    const char *name;
    char letter;
    const char *value, *key, *usual;
} rows[ADMIN_OPTIONS] = {
#define OPTION(id, name, letter, value, key, usual, text) {name, letter, value, key, usual},
#include "ctl/admin_options.def"
#undef OPTION
};

#define SWITCHED_ON "True"

static int refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int refuse(const char *format, ...)
{
    va_list list;
    admin_print_usage(stderr);
    fprintf(stderr, "\nrabbitmqadmin: error: ");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    return ADMIN_USAGE;
}

/* ---- the command line ---- */

static bool begins(int row, const char *name, size_t size)
{
    return rows[row].name && strncmp(rows[row].name, name, size) == 0;
}

static int compare_names(const void *one, const void *other)
{
    return strcmp(*(const char *const *)one, *(const char *const *)other);
}

static int refuse_ambiguous(const char *name, size_t size)
{
    const char *names[ADMIN_OPTIONS];
    char text[512];
    size_t count = 0, used = 0;
    for (int i = 0; i < ADMIN_OPTIONS; i++)
        if (begins(i, name, size))
            names[count++] = rows[i].name;
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s--%s", i ? ", " : "",
                                 names[i]);
    return refuse("ambiguous option: --%.*s (%s?)", (int)size, name, text);
}

/* An option may be cut short where no other one begins so. 0, and *row; or the code. */
static int find_long(const char *name, size_t size, int *row)
{
    int count = 0;
    for (int i = 0; i < ADMIN_OPTIONS; i++) {
        if (!begins(i, name, size))
            continue;
        count++;
        *row = i;
        if (rows[i].name[size] == '\0')
            return 0;
    }
    if (count == 0)
        return refuse("no such option: --%.*s", (int)size, name);
    return count == 1 ? 0 : refuse_ambiguous(name, size);
}

static int take(struct admin *admin, int row, const char *value)
{
    char *end;
    if (row == ADMIN_REQUEST_TIMEOUT && (strtol(value, &end, 10) <= 0 || *end))
        return refuse("option -t: invalid integer value: '%s'", value);
    admin->given[row] = value;
    return 0;
}

static int read_long(struct admin *admin, int count, char **words, int *at)
{
    const char *name = words[*at] + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] ? name + size + 1 : NULL;
    int row = 0, code = find_long(name, size, &row);
    if (code)
        return code;
    if (!rows[row].value && value)
        return refuse("--%s option does not take a value", rows[row].name);
    if (!rows[row].value)
        return take(admin, row, SWITCHED_ON);
    if (!value && *at + 1 == count)
        return refuse("--%s option requires 1 argument", rows[row].name);
    return take(admin, row, value ? value : words[++*at]);
}

static int find_letter(char letter)
{
    for (int i = 0; i < ADMIN_OPTIONS; i++)
        if (rows[i].letter && rows[i].letter == letter)
            return i;
    return -1;
}

/* Letters of switches may stand together, and a value behind its letter. */
static int read_letters(struct admin *admin, int count, char **words, int *at)
{
    for (const char *letter = words[*at] + 1; *letter; letter++) {
        int row = find_letter(*letter);
        if (row < 0)
            return refuse("no such option: -%c", *letter);
        if (!rows[row].value) {
            take(admin, row, SWITCHED_ON);
            continue;
        }
        if (letter[1])
            return take(admin, row, letter + 1);
        if (*at + 1 == count)
            return refuse("-%c option requires 1 argument", *letter);
        return take(admin, row, words[++*at]);
    }
    return 0;
}

static int read_words(struct admin *admin, int count, char **words)
{
    bool is_over = false;
    int code = 0;
    admin->arguments = mem_zalloc_array((size_t)count + 1, sizeof(*admin->arguments));
    for (int i = 1; i < count && code == 0; i++) {
        bool is_option = !is_over && words[i][0] == '-' && words[i][1];
        if (is_option && strcmp(words[i], "--") == 0)
            is_over = true;
        else if (is_option && words[i][1] == '-')
            code = read_long(admin, count, words, &i);
        else if (is_option)
            code = read_letters(admin, count, words, &i);
        else
            admin->arguments[admin->argument_count++] = words[i];
    }
    return code;
}

/* ---- the configuration file ---- */

/* Its text, with a terminator, in `out`. */
static bool read_file(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "re");
    size_t size;
    if (!file)
        return false;
    do {
        size = fread(buffer_room(out, 4096), 1, 4096, file);
        buffer_added(out, size);
    } while (size);
    bool is_read = !ferror(file);
    fclose(file);
    buffer_add_u8(out, '\0');
    return is_read;
}

/* Cuts spaces off both ends. */
static char *trim(char *text)
{
    static const char spaces[] = " \t\r";
    text += strspn(text, spaces);
    size_t size = strlen(text);
    while (size && strchr(spaces, text[size - 1]))
        text[--size] = '\0';
    return text;
}

static void take_setting(struct admin *admin, const char *key, const char *value)
{
    for (int i = 0; i < ADMIN_OPTIONS; i++) {
        if (!rows[i].key || strcasecmp(rows[i].key, key) != 0 || admin->given[i])
            continue;
        if (!rows[i].value && rows[i].name && strcasecmp(value, "false") == 0)
            value = NULL;
        admin->values[i] = value;
    }
}

/* The settings of one section, and those of DEFAULT, which all have. False: there is none of that
 * name. The text is taken apart. */
static bool read_section(struct admin *admin, char *text, const char *wanted)
{
    bool is_in = false, is_found = false;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        line = trim(line);
        char *end = line + strcspn(line, "=:");
        if (*line == '#' || *line == ';' || !*line)
            continue;
        if (*line == '[') {
            line[strcspn(line, "]")] = '\0';
            bool is_wanted = strcmp(line + 1, wanted) == 0;
            is_in = is_wanted || strcmp(line + 1, "DEFAULT") == 0;
            is_found = is_found || is_wanted;
        } else if (is_in && *end) {
            *end = '\0';
            take_setting(admin, trim(line), trim(end + 1));
        }
    }
    return is_found;
}

static int read_config(struct admin *admin)
{
    const char *path = admin->given[ADMIN_CONFIG], *home = getenv("HOME");
    const char *section = admin->values[ADMIN_NODE];
    char usual[1024];
    snprintf(usual, sizeof(usual), "%s/.rabbitmqadmin.conf", home ? home : "");
    if (!path && (!home || access(usual, F_OK) != 0))
        return 0;
    path = path ? path : usual;
    if (!read_file(path, &admin->kept[0]))
        return admin_refuse("Could not read config file '%s'", path);
    if (read_section(admin, (char *)admin->kept[0].data, section) ||
        strcmp(section, "default") == 0)
        return 0;
    return admin_refuse("Could not read section '%s' in config file '%s':\n   No section: '%s'",
                        section, path, section);
}

/* ---- the URI ---- */

static const char *keep(struct buffer *room, const char *text)
{
    buffer_add(room, text, strlen(text) + 1);
    return (const char *)room->data;
}

/* It counts before all else; its path does not. */
static int read_uri(struct admin *admin)
{
    const char *uri = admin->values[ADMIN_BASE_URI];
    struct target target;
    char error[700];
    if (!uri)
        return 0;
    const char *rest = strstr(uri, "://");
    if (!rest || !target_read(&target, uri, error, sizeof(error)))
        return admin_refuse("%s", rest ? error : "the URI begins with http:// or https://");
    admin->values[ADMIN_HOST] = keep(&admin->kept[1], target.host);
    if (target.has_port)
        admin->values[ADMIN_PORT] = keep(&admin->kept[2], target.port);
    if (target.has_user) {
        admin->values[ADMIN_USERNAME] = keep(&admin->kept[3], target.user);
        admin->values[ADMIN_PASSWORD] = keep(&admin->kept[4], target.password);
    }
    if (target.is_tls)
        admin->values[ADMIN_SSL] = SWITCHED_ON;
    if (target.prefix[0])
        fprintf(stderr, "WARNING: path in --base-uri is ignored. Please specify --vhost and/or "
                        "--path-prefix separately.\n\n");
    return 0;
}

int admin_read(struct admin *admin, int count, char **words)
{
    int code = read_words(admin, count, words);
    for (int i = 0; i < ADMIN_OPTIONS; i++)
        admin->values[i] = admin->given[i] ? admin->given[i] : rows[i].usual;
    if (code || admin->given[ADMIN_HELP] || admin->given[ADMIN_VERSION])
        return code;
    code = read_config(admin);
    return code ? code : read_uri(admin);
}

void admin_free(struct admin *admin)
{
    for (size_t i = 0; i < sizeof(admin->kept) / sizeof(admin->kept[0]); i++)
        buffer_free(&admin->kept[i]);
    mem_free(admin->arguments);
    client_close(&admin->client);
}
