#include "instead.h"

#include <stdlib.h>

#include "base/mem.h"
#include "check_config.h"
#include "check_store.h"
#include "dump_store.h"
#include "folder.h"
#include "remarks.h"
#include "restore.h"
#include "salvage.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum { EXIT_USAGE = 2 };

/* ---- a store is looked after instead ---- */

/* The caller frees it; NULL: there is none, which was said. */
static char *data_folder(const struct options *options)
{
    const char *named = options->data_dir;
    char *path = named ? mem_dup(named, strlen(named) + 1) : folder_default();
    if (!path)
        fprintf(stderr, "no place for the data is known; name one with --data-dir\n");
    return path;
}

static int check_data(struct options *options)
{
    return check_store(options->check_store, &options->store);
}

static int dump_data(struct options *options)
{
    const struct dump_options wanted = {
        .vhost = options->dump_vhost,
        .queue = options->dump_queue,
        .is_document = options->dump_document,
        .product_version = options->server.product_version,
    };
    return dump_store(options->dump_store, &wanted, &options->store);
}

static int restore_data(struct options *options)
{
    char *path = data_folder(options);
    int status = path ? restore_store(options->restore, path, &options->store) : EXIT_USAGE;
    mem_free(path);
    return status;
}

int instead_salvage(struct options *options)
{
    const char *from = options->salvage_from;
    char *path = data_folder(options);
    int status = EXIT_USAGE;
    if (path && from)
        status = salvage_copy(from, path, &options->store);
    else if (path)
        status = salvage_store(path, &options->store);
    mem_free(path);
    return status;
}

instead_store *instead_with_store(const struct options *options)
{
    if (options->check_store)
        return check_data;
    if (options->dump_store)
        return dump_data;
    return options->restore ? restore_data : NULL;
}

/* ---- what is asked instead of serving ---- */

static int tell_config(const struct config *config)
{
    bool is_good = remarks_print(config);
    if (is_good)
        printf("the configuration is good\n");
    return is_good ? EXIT_SUCCESS : EXIT_USAGE;
}

static int check_config(const struct options *options, struct config *config)
{
    check_config_look(options, config);
    return tell_config(config);
}

static int print_config(const struct options *options, struct config *config)
{
    config_print(config, options, stdout);
    return config->faults ? tell_config(config) : EXIT_SUCCESS;
}

static int print_keys(const struct options *options, struct config *config)
{
    (void)options, (void)config;
    options_print_keys(stdout);
    return EXIT_SUCCESS;
}

static int print_help(const struct options *options, struct config *config)
{
    (void)options, (void)config;
    options_print_help(stdout);
    return EXIT_SUCCESS;
}

static int print_version(const struct options *options, struct config *config)
{
    (void)options, (void)config;
    printf("leveretd %s\n", PACKAGE_VERSION);
    return EXIT_SUCCESS;
}

instead *instead_of_all(const struct options *options)
{
    if (options->help)
        return print_help;
    if (options->version)
        return print_version;
    if (options->list_keys)
        return print_keys;
    if (options->check_config)
        return check_config;
    return options->print_config ? print_config : NULL;
}
