/* Kinds of values that only the daemon's options have. */
#ifndef LEVERET_OPTION_KINDS_H
#define LEVERET_OPTION_KINDS_H

#include "base/options.h"

/* Addresses: an option's, a key's with a name, and the key that says that there is none. */
extern const struct option_kind listen_kind, listener_kind, proxies_kind, no_listener_kind;
extern const struct option_kind management_kind, prefix_kind, origin_kind;
extern const struct option_kind cluster_node_kind;
/* Of the log: a level that may be left open, "json" or "plaintext", a file or "false". */
extern const struct option_kind level_kind, formatter_kind, log_file_kind;
/* A struct amount: bytes from the row's `min` on, or a share up to its `max` in millionths; a share
 * as 0.4 alone; bytes alone, as RabbitMQ writes them; and as the command line does. */
extern const struct option_kind amount_kind, amount_share_kind, amount_bytes_kind, amount_size_kind;
extern const struct option_kind queue_type_kind;
/* What virtual hosts have from their beginning: broker/vhost_defaults.h. */
extern const struct option_kind default_user_kind, default_limits_kind, default_policy_kind;
/* A number of bytes, as RabbitMQ writes it: see bytes_kind. */
bool units_read(const char *text, uint64_t *bytes);
/* Names: with commas, in a key that says whether, and the key that says that there is none. */
extern const struct option_kind names_kind, name_kind, no_name_kind;
extern const struct option_kind hashing_kind; /* how passwords are kept: enum hash_kind */
extern const struct option_kind anonymous_kind, mechanism_kind, backend_kind, login_from_kind,
    san_type_kind;
extern const struct option_kind set_kind; /* KEY=VALUE, collected */
/* Numbers for which "infinity" and 0 are no limit, and the largest there may be. */
extern const struct option_kind unlimited_kind, highest_kind;
/* Bytes as RabbitMQ writes them: 4096, 4kB, 4k (1000 each), 4KiB, 4Ki (1024 each); and those of its
 * keys for which kB are 1024, too. */
extern const struct option_kind bytes_kind, bytesize_kind;
extern const struct option_kind only_kind; /* what the row has as an example, and nothing else */
extern const struct option_kind idle_kind; /* anything, as nothing is done with it */

#endif
