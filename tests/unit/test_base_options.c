/* Options as tables: the kinds that any program has, the command line, errors and help. */
#include "base/options.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/tap.h"

struct fields {
    bool loud, quick;
    const char *name, *folder;
    uint16_t small;
    uint32_t middle, step;
    uint64_t large;
    char letters[8];
};

/* A kind of this program: no more than two letters. */
static bool read_letters(const struct option *option, void *fields, const char *text,
                         const char **why)
{
    if (strlen(text) > 2) {
        *why = "that is long";
        return false;
    }
    snprintf(option_field(option, fields), option->width, "%s", text);
    return true;
}

static const struct option_kind letters_kind = {.read = read_letters};

#define FIELD(field) OPTION_FIELD(struct fields, field)

static const struct option rows[] = {
    {.help = "Some"},
    {"loud", &option_flag, FIELD(loud), 0, 0, NULL, .help = "be heard", .letter = 'l'},
    {"slow", &option_no, FIELD(quick), 0, 0, NULL, .help = "take time"},
    {"name", &option_text, FIELD(name), 0, 0, "NAME", .help = "who"},
    {"folder", &option_path, FIELD(folder), 0, 0, "DIR", .help = "where", .example = "/tmp"},
    {.help = "Others"},
    {"small", &option_number, FIELD(small), 0, UINT64_MAX, "N", .help = "a few"},
    {"middle", &option_number, FIELD(middle), 3, 9, "N", .help = "some", .example = ""},
    {"step", &option_power, FIELD(step), 2, 64, "N", .help = "doubles"},
    {"large", &option_size, FIELD(large), 1024, UINT64_MAX, "SIZE", .help = "much"},
    {"letters", &letters_kind, FIELD(letters), 0, 0, "LETTERS", .help = "two"},
};

static const struct fields defaults = {
    .quick = true, .name = "nobody", .small = 7, .step = 8, .large = 3 << 20};
static const struct option_table table = {rows, sizeof(rows) / sizeof(rows[0]), &defaults, 12};
static const struct option_table silent = {rows, sizeof(rows) / sizeof(rows[0]), NULL, 12};

static struct fields fields;
static char error[256];

/* Reads one or two arguments into fresh fields. */
static bool reads(const char *a, const char *b)
{
    char *arguments[] = {(char *)(uintptr_t) "program", (char *)(uintptr_t)a, (char *)(uintptr_t)b};
    fields = defaults;
    error[0] = '\0';
    return options_read_arguments(&table, &fields, b ? 3 : 2, arguments, error, sizeof(error));
}

TEST(flags)
{
    ok(reads("--loud", "--slow") && fields.loud && !fields.quick, "one is set, one taken away");
    ok(reads("-l", NULL) && fields.loud, "a letter stands for a name");
    ok(!reads("-s", NULL), "not every name has one");
    is_str(error, "unexpected argument '-s'; options begin with --", "is told");
    ok(!reads("--loud=1", NULL), "a flag has no value");
    is_str(error, "--loud takes no value", "is told");
}

TEST(texts)
{
    ok(reads("--name", "me") && strcmp(fields.name, "me") == 0, "in an argument of its own");
    ok(reads("--name=a=b", NULL) && strcmp(fields.name, "a=b") == 0, "or behind the first =");
    ok(!reads("--name", ""), "not empty");
    is_str(error, "--name must be a text, and not ''; for example --name nobody",
           "the default is an example");
    ok(!reads("--folder=", NULL), "nor a path");
    is_str(error, "--folder must be a path, and not ''; for example --folder /tmp",
           "or what the row says");
    ok(!reads("--name", NULL), "a value is missing");
    is_str(error, "--name needs a value: NAME; for example --name nobody", "is told");
}

TEST(numbers)
{
    ok(reads("--small=65535", "--middle=9") && fields.small == 65535 && fields.middle == 9,
       "as large as may be");
    ok(!reads("--small=65536", NULL), "larger than the field");
    is_str(error,
           "--small must be a number from 0 to 65535, and not '65536'; for example --small 7",
           "the field bounds it");
    ok(!reads("--middle=2", NULL) && fields.middle == 0, "too small: nothing is put");
    is_str(error, "--middle must be a number from 3 to 9, and not '2'", "without an example");
    ok(!reads("--middle", NULL), "a missing value");
    is_str(error, "--middle needs a value: a number from 3 to 9", "is told what it may be then");
    ok(!reads("--middle=3x", NULL), "digits only");
    ok(!reads("--middle=", NULL), "and some");
    ok(!reads("--middle=-3", NULL), "no sign");
    ok(reads("--step=64", NULL) && fields.step == 64, "a power of two");
    ok(!reads("--step=63", NULL), "no power of two");
    is_str(error, "--step must be a power of two from 2 to 64, and not '63'; for example --step 8",
           "is told");
    ok(reads("--large=1TiB", NULL) && fields.large == UINT64_C(1) << 40, "a size");
    ok(!reads("--large=1023", NULL), "too small");
    is_str(error, "--large must be a size from 1KiB on, and not '1023'; for example --large 3MiB",
           "sizes are written short");
}

TEST(kinds_of_ones_own)
{
    ok(reads("--letters=ab", NULL) && strcmp(fields.letters, "ab") == 0, "are read");
    ok(!reads("--letters=abc", NULL), "or not");
    is_str(error, "--letters must be LETTERS, and not 'abc': that is long", "which says why");
}

TEST(unknown)
{
    ok(!reads("--larg=1", NULL), "a slip");
    is_str(error, "unknown option '--larg=1'; did you mean --large?", "is told what may be meant");
    ok(!reads("--colour=1", NULL), "nothing like it");
    is_str(error, "unknown option '--colour=1'", "is named");
    ok(!reads("large", NULL), "a bare word");
    is_str(error, "unexpected argument 'large'; options begin with --", "is named, too");
    ok(!reads("--", NULL), "no name at all");
}

/* As a file of options would be read. */
TEST(by_name)
{
    const struct option *option = option_find(&silent, "small = 3", 5);
    fields = defaults;
    ok(option && strcmp(option->name, "small") == 0, "found by its name alone");
    ok(option_set(&silent, option, &fields, "3", error, sizeof(error)) && fields.small == 3, "set");
    ok(!option_set(&silent, option, &fields, "x", error, sizeof(error)), "or refused");
    is_str(error, "--small must be a number from 0 to 65535, and not 'x'",
           "without defaults there are no examples of them");
    ok(!option_find(&silent, "smal", 4) && !option_find(&silent, "smaller", 7), "not by a part");
}

static void help_is(const struct option_table *rows_of, const char *wanted, const char *what)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    options_print(rows_of, out);
    fclose(out);
    is_str(text, wanted, "%s", what);
    free(text);
}

TEST(help)
{
    help_is(&table,
            "\nSome:\n"
            "  --loud       be heard\n"
            "  --slow       take time\n"
            "  --name NAME  who (nobody)\n"
            "  --folder DIR where\n"
            "\nOthers:\n"
            "  --small N    a few (7)\n"
            "  --middle N   some (0)\n"
            "  --step N     doubles (8)\n"
            "  --large SIZE much (3MiB)\n"
            "  --letters LETTERS two\n",
            "with what is taken when nothing is said");
    help_is(&silent,
            "\nSome:\n"
            "  --loud       be heard\n"
            "  --slow       take time\n"
            "  --name NAME  who\n"
            "  --folder DIR where\n"
            "\nOthers:\n"
            "  --small N    a few\n"
            "  --middle N   some\n"
            "  --step N     doubles\n"
            "  --large SIZE much\n"
            "  --letters LETTERS two\n",
            "or without");
}

static void size_is(const char *text, uint64_t wanted)
{
    uint64_t bytes = 0;
    ok(size_read(text, &bytes), "%s is a size", text);
    is_int(bytes, wanted, "of %llu bytes", (unsigned long long)wanted);
}

TEST(sizes)
{
    static const char *const bad[] = {"",     "K",   "1X",   "1KK",       "1.5K",
                                      "0x10", "1 K", "1KiX", "16777216T", "99999999999999999999"};
    uint64_t bytes;
    size_is("0", 0);
    size_is("4096", 4096);
    size_is("4096B", 4096);
    size_is("64K", 65536);
    size_is("64k", 65536);
    size_is("64Ki", 65536);
    size_is("64KiB", 65536);
    size_is("64kB", 64000);
    size_is("3MiB", 3145728);
    size_is("3MB", 3000000);
    size_is("2G", 2147483648);
    size_is("1TiB", 1099511627776);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(!size_read(bad[i], &bytes), "'%s' is no size", bad[i]);
}

int main(void)
{
    RUN(flags);
    RUN(texts);
    RUN(numbers);
    RUN(kinds_of_ones_own);
    RUN(unknown);
    RUN(by_name);
    RUN(help);
    RUN(sizes);
    return done();
}
