/* Settings: the grammar of files, files that include each other, what counts before what. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/grammar.h"
#include "tests/lib/tap.h"

struct fields {
    uint32_t number;
    const char *text, *other;
    bool truth;
};

#define FIELD(field)                                                                               \
    .offset = offsetof(struct fields, field), .width = sizeof(((struct fields *)0)->field)

static const struct option rows[] = {
    {.name = "number",
     .kind = &option_number,
     FIELD(number),
     .max = 100,
     .key = "a.number",
     .alias = "number",
     .effect = OPTION_LIVE},
    {.kind = &option_text, FIELD(text), .key = "text"},
    {.kind = &option_text, FIELD(text), .key = "same.text", .environment = "THE_TEXT"},
    {.kind = &option_text, FIELD(other), .key = "other", .is_secret = true},
    {.kind = &option_flag, FIELD(truth), .key = "truth"},
    {.kind = &option_text, .key = "idle.*", .effect = OPTION_NOT_YET},
};

static const struct fields defaults = {.number = 7, .text = "t"};
static const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0]), &defaults, 20};
static struct config config;
static struct fields fields;
static char folder[] = "/tmp/leveret-config-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *name, const char *text, size_t size)
{
    FILE *file = fopen(path_of(name), "w");
    if (!file || fwrite(text, 1, size, file) != size || fclose(file) != 0)
        bail("no file can be written");
}

static void write_file(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

static const char *remark(size_t number, bool is_fault, bool is_origin)
{
    list_for_each(link, &config.remarks) {
        const struct config_remark *at = list_entry(link, struct config_remark, link);
        const char *origin = strncmp(at->origin, folder, strlen(folder)) == 0
                                 ? at->origin + strlen(folder) + 1
                                 : at->origin;
        if (at->is_fault == is_fault && number-- == 0)
            return is_origin ? origin : at->reason;
    }
    return NULL;
}

static void begin(char *const *environment)
{
    config_init(&config, &table, environment);
    fields = defaults;
}

/* Reads the text as a file; how many faults it has. */
static size_t read_text(const char *text, size_t size)
{
    begin(NULL);
    write_bytes("file", text, size);
    config_read(&config, path_of("file"), true);
    config_apply(&config, &fields);
    return config.faults;
}

static size_t read_file(const char *text)
{
    return read_text(text, strlen(text));
}

TEST(lines)
{
    is_int(read_file("text = b\n\n  a.number  =   12 \n# c = d\n   # e\ntruth=true"), 0,
           "settings");
    is_str(fields.text, "b", "a text");
    is_int(fields.number, 12, "a number");
    ok(fields.truth, "a truth, without an end of its line");
    config_free(&config);
    is_int(read_file("text = b#c\nother = x y = z\t1 # 2\n"), 0, "comments");
    is_str(fields.text, "b", "begin anywhere");
    is_str(fields.other, "x y = z\t1", "and the rest is the value");
    config_free(&config);
    is_int(read_file("text = x\r\ntext = y\r\n"), 0, "lines of other systems");
    is_str(fields.text, "y", "and the later one counts");
    config_free(&config);
    is_int(read_file(""), 0, "nothing is fine");
    config_free(&config);
}

TEST(quotes)
{
    is_int(read_file("text = 'a # b' # c\nother = ''\n"), 1, "between quotes");
    is_str(fields.text, "a # b", "nothing has a meaning");
    config_free(&config);
    is_int(read_file("text = 'a\nother = 'a' b\n"), 0, "quotes that are none");
    is_str(fields.text, "'a", "are letters");
    is_str(fields.other, "'a' b", "wherever they are");
    config_free(&config);
    is_int(read_file("text = \"a\"\n"), 0, "others are always");
    is_str(fields.text, "\"a\"", "as they stand");
    config_free(&config);
}

TEST(wrong_lines)
{
    is_int(read_file("no setting\ntext =\n= 4\na..b = c\n.a = b\na. = b\na/b = c\nother = o\n"), 7,
           "all faults at once");
    is_str(remark(0, true, true), "file:1", "with their places");
    ok(strstr(remark(0, true, false),
              "after line 1 column 4, parsing incomplete: a line is KEY = VALUE"),
       "and why: %s", remark(0, true, false));
    ok(strstr(remark(1, true, false),
              "after line 2 column 7, parsing incomplete: the value is missing"),
       "of a value: %s", remark(1, true, false));
    is_str(remark(6, true, true), "file:7", "to the last");
    is_str(fields.other, "o", "and the rest is read");
    config_free(&config);
    is_int(read_text("text = \0a\n", 10), 1, "a NUL");
    config_free(&config);
    is_int(read_file("text = \x1b[1m\n"), 1, "a control character");
    config_free(&config);
    is_int(read_file("text = \xff\xfe\n"), 1, "no UTF-8");
    config_free(&config);
    is_int(read_file("text = \xc3\xa9\n"), 0, "UTF-8");
    config_free(&config);
    is_int(read_file("\xef\xbb\xbftext = a\n"), 1, "a mark of the order of bytes");
    config_free(&config);
}

TEST(keys)
{
    is_int(read_file("numbr = 1\nnothing.like.it = 1\nidle.what.ever = 1\nidle.x\\.y = 1\n"), 2,
           "unknown");
    is_str(remark(0, true, false),
           "You've tried to set numbr, but there is no setting with that name. Did you mean one of "
           "these? number",
           "in RabbitMQ's words");
    config_free(&config);
    is_int(read_file("a.numbr = 1\n"), 1, "a slip");
    is_str(
        remark(0, true, false),
        "You've tried to set a.numbr, but there is no setting with that name. Did you mean one of "
        "these? a.number",
        "is told what is near");
    config_free(&config);
    is_int(read_file("number = 8\n"), 0, "another name");
    is_int(fields.number, 8, "is the same");
    config_free(&config);
    is_int(read_file("a.number = 101\ntruth = yes\nother = \n"), 3, "values");
    is_str(remark(1, true, false),
           "a.number must be a number from 0 to 100, and not '101'; for example a.number = 7",
           "told");
    config_free(&config);
}

static char *const environment[] = {(char *)(uintptr_t) "HOME=/h",
                                    (char *)(uintptr_t) "EMPTY=",
                                    (char *)(uintptr_t) "P_TEXT=env",
                                    (char *)(uintptr_t) "P_SAME__TEXT=deep",
                                    (char *)(uintptr_t) "P_NO=1",
                                    (char *)(uintptr_t) "THE_TEXT=variable",
                                    NULL};

TEST(variables)
{
    begin(environment);
    write_file(
        "file",
        "text = x$(HOME)y\nother = '$(HOME)'\ntruth = $(NOT)\ntruth = $(EMPTY)\ntruth = $(\n");
    config_read(&config, path_of("file"), true);
    config_apply(&config, &fields);
    is_str(fields.text, "x/hy", "are put in");
    is_str(fields.other, "$(HOME)", "but not between quotes");
    is_int(config.faults, 3, "what is missing, empty or has no end is a fault");
    is_str(remark(0, true, false), "the environment has no variable NOT, or it is empty",
           "is told");
    config_free(&config);
}

TEST(sources)
{
    begin(environment);
    write_file("file", "text = file\n");
    config_read(&config, path_of("file"), true);
    config_read_variables(&config);
    config_read_environment(&config, "P_");
    config_apply(&config, &fields);
    is_str(fields.text, "deep",
           "the environment counts before files, and what is later before the rest");
    is_str(config_origin(&config, &rows[1]), "P_SAME__TEXT",
           "which is known of all keys of the field");
    is_int(config.faults, 0, "a variable that is no key");
    is_str(remark(0, false, true), "P_NO", "is told of");
    config_set_line(&config, CONFIG_COMMAND, "--set", "text=a # b");
    config_apply(&config, &fields);
    is_str(fields.text, "a # b", "the command line counts before that, and has no comments");
    config_set_line(&config, CONFIG_COMMAND, "--set", "text");
    config_set_line(&config, CONFIG_COMMAND, "--set", "=1");
    config_set_line(&config, CONFIG_COMMAND, "--set", "text=");
    is_int(config.faults, 3, "and is wrong without a key or a value");
    config_free(&config);
}

TEST(includes)
{
    mkdir(path_of("more"), 0700);
    write_file("more/1.conf", "text = one\n");
    write_file("more/2.conf", "text = two\ninclude 3\n");
    write_file("more/3", "other = three\n");
    is_int(read_file("text = a\ninclude more/*.conf\ninclude nothing/*\ntruth = true\n"), 0,
           "patterns");
    is_str(fields.text, "two", "in their order, at that place");
    is_str(fields.other, "three", "from where the file lies");
    ok(fields.truth, "and then goes on");
    config_free(&config);
    is_int(read_file("text = a\ninclude file\nother = b\n"), 1, "a file that includes itself");
    ok(strstr(remark(0, true, false), "it includes itself"), "is told: %s", remark(0, true, false));
    is_str(remark(0, true, true), "file:2", "with its place");
    is_str(fields.other, "b", "and the rest is read");
    config_free(&config);
    is_int(read_file("include more\n"), 1, "a folder");
    config_free(&config);
    is_int(read_file("include = 1\n"), 1, "a key may be called so, and is not known");
    config_free(&config);
}

/* Each includes the next one twice: it is the number of files that ends. */
TEST(many_includes)
{
    char name[16], text[64];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        snprintf(text, sizeof(text), "include n%d\ninclude n%d\n", i + 1, i + 1);
        write_file(name, text);
    }
    begin(NULL);
    config_read(&config, path_of("n0"), true);
    ok(config.faults > 0 && config.files <= 1000, "it ends, after %zu files", config.files);
    ok(strstr(remark(0, true, false), "too deeply"), "it is told: %s", remark(0, true, false));
    config_free(&config);
}

TEST(folders)
{
    begin(NULL);
    mkdir(path_of("d"), 0700);
    write_file("d/20.conf", "text = later\n");
    write_file("d/10.conf", "text = sooner\n");
    write_file("d/30.txt", "text = no\n");
    write_file("d/.40.conf", "text = hidden\n");
    config_read_folder(&config, path_of("d"));
    config_read_folder(&config, path_of("missing"));
    config_apply(&config, &fields);
    is_int(config.faults, 0, "a folder, and one that is missing");
    is_str(fields.text, "later", "files by their names");
    is_int(config.files, 2, "as many");
    is_str(config.file_names[0], path_of("d/10.conf"), "what they are called");
    ok(config.file_names[1] && !config.file_names[2], "both of them");
    config_read_folder(&config, path_of("file"));
    is_int(config.faults, 1, "a file is none");
    config_free(&config);
}

TEST(unreadable)
{
    begin(NULL);
    config_read(&config, path_of("missing"), false);
    is_int(config.faults, 0, "a file may be missing");
    config_read(&config, path_of("missing"), true);
    is_int(config.faults, 1, "or not");
    config_read(&config, path_of("d"), true);
    is_int(config.faults, 2, "a folder");
    config_read(&config, "/dev/zero", true);
    is_int(config.faults, 3, "a file without an end");
    ok(strstr(remark(2, true, false), "larger than 1 MiB"), "is told");
    config_read(&config, "/dev/null", true);
    is_int(config.faults, 3, "an empty one");
    mkfifo(path_of("pipe"), 0600);
    config_read(&config, path_of("pipe"), true);
    is_int(config.faults, 4, "a pipe that nobody writes to");
    config_free(&config);
}

TEST(large)
{
    static char text[(1 << 20) + 2];
    size_t size = 0;
    for (int i = 0; size + 20 < sizeof(text); i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "text = %d\n", i);
    is_int(read_text(text, size), 0, "as many lines as there can be");
    config_free(&config);
    memset(text, 'x', sizeof(text));
    memcpy(text, "text = ", 7);
    is_int(read_text(text, sizeof(text)), 1, "one byte too many");
    config_free(&config);
    is_int(read_text(text, 70000), 1, "one value that is too long");
    config_free(&config);
    memcpy(text, "xxxxxxx", 7);
    is_int(read_text(text, 70000), 1, "one key");
    config_free(&config);
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "x\n", 2);
    is_int(read_text(text, 1 << 20), 1 << 19, "as many faults as there can be");
    size_t kept = 0;
    list_for_each(link, &config.remarks)
        kept++;
    is_int(kept, CONFIG_REMARKS_MAX, "of which some are kept");
    config_free(&config);
}

TEST(printed)
{
    static char text[4096];
    FILE *out = fmemopen(text, sizeof(text), "w");
    read_file("text = 'a#b'\na.number = 9\nother = secret\nidle.x = 1\n");
    config_print(&config, &fields, out);
    fclose(out);
    char wanted[1024];
    snprintf(wanted, sizeof(wanted),
             "a.number = 9  # %s:2\ntext = 'a#b'  # %s:1\nsame.text = 'a#b'  # %s:1\n"
             "# other is not shown  # %s:3\ntruth = false  # default\n",
             path_of("file"), path_of("file"), path_of("file"), path_of("file"));
    is_str(text, wanted, "what counts, and where it was said");
    config_free(&config);
    is_int(read_file(text), 0, "is a file itself");
    is_str(fields.text, "a#b", "that says the same");
    config_free(&config);
}
/* What is printed of a value from the command line, and what a file says that has that. */
static void is_printed(const char *value, const char *wanted, const char *again)
{
    static char text[1024];
    char line[200];
    FILE *out = fmemopen(text, sizeof(text), "w");
    begin(NULL);
    config_set(&config, CONFIG_COMMAND, "--set", "text", bytes_str(value));
    config_apply(&config, &fields);
    config_print(&config, &fields, out);
    fclose(out);
    snprintf(line, sizeof(line), "\n%s  # --set\n", wanted);
    ok(strstr(text, line) != NULL, "%s", wanted);
    config_free(&config);
    is_int(read_file(text), 0, "is in a file");
    is_str(fields.text, again, "that says");
    config_free(&config);
}

TEST(printed_values)
{
    is_printed("it's", "text = it's", "it's");
    is_printed("'tis", "text = 'tis", "'tis");
    is_printed(" a", "text = ' a'", " a");
    is_printed("a ", "text = 'a '", "a ");
    is_printed("a\t", "text = 'a\t'", "a\t");
    is_printed("a#b", "text = 'a#b'", "a#b");
    is_printed("a$(HOME)", "text = 'a$(HOME)'", "a$(HOME)");
    is_printed("a'#b", "# no file can say this value of text: a'#b", "t");
    is_printed("'a'", "# no file can say this value of text: 'a'", "t");
}

int main(void)
{
    if (!mkdtemp(folder))
        bail("no folder can be made");
    RUN(lines);
    RUN(quotes);
    RUN(wrong_lines);
    RUN(keys);
    RUN(variables);
    RUN(sources);
    RUN(includes);
    RUN(many_includes);
    RUN(folders);
    RUN(unreadable);
    RUN(large);
    RUN(printed);
    RUN(printed_values);
    char command[100];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        diag("%s is left", folder);
    return done();
}
