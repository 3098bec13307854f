/* What options and keys say of the TLS of a listener, and what that comes to. */
#ifndef LEVERET_TLS_SETTINGS_H
#define LEVERET_TLS_SETTINGS_H

#include "base/options.h"
#include "net/tls.h"

enum tls_ask { TLS_ASK_AS_TOLD, TLS_ASK_MAY, TLS_ASK_MUST };

struct tls_settings {
    struct tls_options options;
    const char *authorities; /* of a key: they count if peers are verified */
    enum tls_ask ask;        /* of a key: options.peer_optional */
    unsigned versions;       /* of keys: those that are named; 0: none is */
    char ciphers[2048];      /* with : between; options.ciphers */
    char others[2048];       /* options.others */
};

struct tls_settings tls_settings_default(void);
/* Between brokers that know the secret in this file. */
struct tls_options tls_options_of_brokers(const char *cookie);
/* Keys that only together mean something, before options of the command line count over them; */
void tls_settings_join(struct tls_settings *settings);
/* and what all of it comes to. */
void tls_settings_settle(struct tls_settings *settings);
/* After they were copied: what points within. */
void tls_settings_point(struct tls_settings *settings);
/* Is there a certificate with its key? */
bool tls_settings_has_own(const struct tls_settings *settings);
/* Are there authorities, if peers are to be verified? */
bool tls_settings_can_verify(const struct tls_settings *settings);

extern const struct option_kind tls_version_kind, tls_versions_kind, tls_verify_kind, tls_ask_kind,
    ciphers_kind, certificates_kind;

#endif
