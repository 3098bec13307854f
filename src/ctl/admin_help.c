/* The help of rabbitmqadmin, and its completion, from its tables. */
#include "ctl/admin.h"

static const struct {
    const char *name;
    char letter;
    const char *value, *usual, *text;
} rows[ADMIN_OPTIONS] = {
#define OPTION(id, name, letter, value, key, usual, text) {name, letter, value, usual, text},
#include "ctl/admin_options.def"
#undef OPTION
};

static void print_title(FILE *out, const char *title)
{
    fprintf(out, "\n%s\n", title);
    for (; *title; title++)
        fprintf(out, "=");
    fprintf(out, "\n\n");
}

void admin_print_usage(FILE *out)
{
    fprintf(out, "Usage\n=====\n  rabbitmqadmin [options] subcommand\n");
}

void admin_print_help(FILE *out)
{
    admin_print_usage(out);
    print_title(out, "Options");
    for (int i = 0; i < ADMIN_OPTIONS; i++) {
        char left[64], letter[64] = "";
        const char *equals = rows[i].value ? "=" : "", *value = rows[i].value ? rows[i].value : "";
        if (!rows[i].name)
            continue;
        if (rows[i].letter)
            snprintf(letter, sizeof(letter), ", -%c%s%s", rows[i].letter, rows[i].value ? " " : "",
                     value);
        snprintf(left, sizeof(left), "--%s%s%s%s", rows[i].name, equals, value, letter);
        bool has_usual = rows[i].usual && rows[i].usual[0];
        fprintf(out, "%-36s %s%s%s%s\n", left, rows[i].text, has_usual ? " [default: " : "",
                has_usual ? rows[i].usual : "", has_usual ? "]" : "");
    }
    print_title(out, "More Help");
    fprintf(out, "  rabbitmqadmin help subcommands\n  rabbitmqadmin help config\n\n");
}

/* ---- subcommands ---- */

/* NAME=... of words with spaces between them. */
static void print_words(FILE *out, const char *words)
{
    struct bytes word;
    const char *before = "";
    while (admin_next_word(&words, &word)) {
        const char *text = (const char *)word.data;
        size_t size = strcspn(text, "= ");
        fprintf(out, "%s", before);
        for (size_t i = 0; i < size; i++)
            fprintf(out, "%.*s", text[i] == '|' ? 8 : 1, text[i] == '|' ? "=... OR " : text + i);
        fprintf(out, "=...");
        before = " ";
    }
}

static void print_objects(FILE *out, const char *const *verbs)
{
    for (; *verbs; verbs++)
        for (size_t i = 0; i < admin_object_count; i++) {
            const struct admin_object *object = &admin_objects[i];
            if (strcmp(object->verb, *verbs) != 0)
                continue;
            fprintf(out, "  %s%s%s ", object->verb, object->type[0] ? " " : "", object->type);
            print_words(out, object->needed);
            fprintf(out, "%s", object->optional[0] ? " [" : "");
            print_words(out, object->optional);
            fprintf(out, "%s\n", object->optional[0] ? "]" : "");
        }
}

static void print_subcommands(FILE *out)
{
    static const char *const objects[] = {"declare", "delete", "close", "purge", NULL};
    static const char *const messages[] = {"publish", "get", NULL};
    admin_print_usage(out);
    fprintf(out, "\n  where subcommand is one of:\n");
    print_title(out, "Display");
    for (size_t i = 0; i < admin_listing_count; i++)
        fprintf(out, "  %s %s [<column>...]\n", admin_listings[i].verb, admin_listings[i].type);
    print_title(out, "Object Manipulation");
    print_objects(out, objects);
    print_title(out, "Broker Definitions");
    fprintf(out, "  export <file>\n  import <file>\n");
    print_title(out, "Publishing and Consuming");
    print_objects(out, messages);
    fprintf(out, "\n  * publish takes what the standard input has if there is no payload\n"
                 "  * get shows payloads among the rest, or puts that of one message into "
                 "payload_file\n\n");
}

static void print_config(FILE *out)
{
    admin_print_usage(out);
    print_title(out, "Configuration File");
    fprintf(out,
            "  A file of sections, each of which names a broker; --node says which one is meant,\n"
            "  and without it the one called default. Options of the command line count before\n"
            "  what is in it.\n");
    print_title(out, "Example");
    fprintf(out, "  [orders]\n  hostname = broker.example\n  port = 15671\n  username = shop\n"
                 "  password = secret\n  vhost = orders\n  declare_vhost = orders\n  ssl = True\n"
                 "  ssl_ca_cert_file = /etc/ssl/own.pem\n");
    print_title(out, "Use");
    fprintf(out, "  rabbitmqadmin -c FILE -N orders list queues\n");
}

int admin_help(struct admin *admin)
{
    const char *topic = admin->argument_count > 1 ? admin->arguments[1] : NULL;
    if (admin->argument_count > 2)
        return admin_refuse("Exactly one argument required");
    if (!topic)
        admin_print_help(stdout);
    else if (strcmp(topic, "subcommands") == 0)
        print_subcommands(stdout);
    else if (strcmp(topic, "config") == 0)
        print_config(stdout);
    else
        return admin_refuse("help topic must be one of:\n  subcommands\n  config");
    return 0;
}

/* ---- completion ---- */

static void print_choice(FILE *out, const char *verb)
{
    fprintf(out, "    %s) words='", verb);
    for (size_t i = 0; i < admin_listing_count; i++)
        if (strcmp(admin_listings[i].verb, verb) == 0)
            fprintf(out, "%s ", admin_listings[i].type);
    for (size_t i = 0; i < admin_object_count; i++)
        if (strcmp(admin_objects[i].verb, verb) == 0)
            fprintf(out, "%s ", admin_objects[i].type);
    fprintf(out, "' ;;\n");
}

void admin_print_completion(FILE *out)
{
    static const char *const verbs[] = {"list", "show", "declare", "delete", "close", "purge"};
    fprintf(out, "# Completion of rabbitmqadmin for bash: source this.\n_rabbitmqadmin()\n{\n"
                 "  local words='list show declare delete close purge import export get publish "
                 "help'\n  case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        print_choice(out, verbs[i]);
    fprintf(out, "    help) words='subcommands config' ;;\n"
                 "    -f|--format) words='raw_json pretty_json tsv long table kvp bash' ;;\n"
                 "    -V|--vhost) words=\"$(rabbitmqadmin -q -f bash list vhosts)\" ;;\n"
                 "    -u|--username) words=\"$(rabbitmqadmin -q -f bash list users)\" ;;\n"
                 "    import|export) COMPREPLY=($(compgen -f -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
                 "      return ;;\n  esac\n  words+='");
    for (int i = 0; i < ADMIN_OPTIONS; i++)
        if (rows[i].name)
            fprintf(out, " --%s", rows[i].name);
    fprintf(out, "'\n  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
                 "complete -F _rabbitmqadmin rabbitmqadmin\n");
}
