/* Names are texts in some encoding of ASN.1, that a client has chosen and an authority has signed: each
 * is made UTF-8, and one with a byte 0 in it is none, as what stands behind that would be lost where
 * texts end with it.
 *
 * A distinguished name is written as RabbitMQ does: by RFC 4514, the last part first, with longer names
 * of some attributes, and with every byte escaped that is no printable character of ASCII. */
#include "net/tls_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A text that grows within its room. */
struct text {
    char *at;
    size_t used, size;
    bool is_wrong; /* it does not fit, or has a byte 0 */
};

static void add(struct text *text, const void *data, size_t size)
{
    if (size >= text->size - text->used || memchr(data, 0, size)) {
        text->is_wrong = true;
        return;
    }
    memcpy(text->at + text->used, data, size);
    text->used += size;
    text->at[text->used] = '\0';
}

static void add_text(struct text *text, const char *more)
{
    add(text, more, strlen(more));
}

/* ---- a subject ---- */

/* Of an attribute, where it is not the OID. */
static const char *attribute_name(int nid)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        {NID_surname, "SN"},
        {NID_givenName, "GIVENNAME"},
        {NID_initials, "INITIALS"},
        {NID_generationQualifier, "GENERATIONQUALIFIER"},
        {NID_commonName, "CN"},
        {NID_localityName, "L"},
        {NID_stateOrProvinceName, "ST"},
        {NID_organizationName, "O"},
        {NID_organizationalUnitName, "OU"},
        {NID_title, "TITLE"},
        {NID_countryName, "C"},
        {NID_serialNumber, "SERIALNUMBER"},
        {NID_pseudonym, "PSEUDONYM"},
        {NID_domainComponent, "DC"},
        {NID_pkcs9_emailAddress, "EMAILADDRESS"},
        {NID_streetAddress, "STREET"},
        {NID_userId, "UID"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].nid == nid)
            return names[i].name;
    return NULL;
}

static void add_escaped(struct text *text, const uint8_t *value, size_t size)
{
    char piece[8];
    for (size_t i = 0; i < size; i++) {
        bool is_first = i == 0 && (value[i] == ' ' || value[i] == '#');
        bool is_last_space = i + 1 == size && value[i] == ' ';
        if (value[i] < ' ' || value[i] >= '~')
            snprintf(piece, sizeof(piece), "\\%02X", value[i]);
        else if (is_first || is_last_space || strchr("\"+,;<>\\", value[i]))
            snprintf(piece, sizeof(piece), "\\%c", value[i]);
        else
            snprintf(piece, sizeof(piece), "%c", value[i]);
        add_text(text, piece);
    }
}

/* The value of an attribute as it is, or escaped. */
static void add_value(const struct tls_library *library, struct text *text,
                      const X509_NAME_ENTRY *entry, bool is_escaped)
{
    unsigned char *value = NULL;
    int size = library->ASN1_STRING_to_UTF8(&value, library->X509_NAME_ENTRY_get_data(entry));
    if (size < 0) {
        text->is_wrong = true;
        return;
    }
    if (is_escaped)
        add_escaped(text, value, (size_t)size);
    else
        add(text, value, (size_t)size);
    library->CRYPTO_free(value, __FILE__, __LINE__);
}

static void add_attribute(const struct tls_library *library, struct text *text,
                          const X509_NAME_ENTRY *entry)
{
    char oid[128];
    const ASN1_OBJECT *object = library->X509_NAME_ENTRY_get_object(entry);
    const char *name = attribute_name(library->OBJ_obj2nid(object));
    if (!name) {
        int size = library->OBJ_obj2txt(oid, sizeof(oid), object, 1);
        text->is_wrong |= size <= 0 || size >= (int)sizeof(oid);
        name = oid;
    }
    if (text->is_wrong)
        return;
    add_text(text, name);
    add_text(text, "=");
    add_value(library, text, entry, true);
}

/* The first of those that belong together with the one at `last`. */
static int first_of_set(const struct tls_library *library, const X509_NAME *subject, int last)
{
    int set = library->X509_NAME_ENTRY_set(library->X509_NAME_get_entry(subject, last));
    int first = last;
    while (first > 0 &&
           library->X509_NAME_ENTRY_set(library->X509_NAME_get_entry(subject, first - 1)) == set)
        first--;
    return first;
}

static void write_distinguished(const struct tls_library *library, const X509_NAME *subject,
                                struct text *text)
{
    for (int last = library->X509_NAME_entry_count(subject) - 1; last >= 0 && !text->is_wrong;) {
        int first = first_of_set(library, subject, last);
        if (text->used)
            add_text(text, ",");
        for (int i = first; i <= last; i++) {
            if (i > first)
                add_text(text, "+");
            add_attribute(library, text, library->X509_NAME_get_entry(subject, i));
        }
        last = first - 1;
    }
}

/* Several are one, with commas between, as RabbitMQ has it. */
static void write_common(const struct tls_library *library, const X509_NAME *subject,
                         struct text *text)
{
    int count = library->X509_NAME_entry_count(subject);
    for (int i = 0; i < count && !text->is_wrong; i++) {
        const X509_NAME_ENTRY *entry = library->X509_NAME_get_entry(subject, i);
        if (library->OBJ_obj2nid(library->X509_NAME_ENTRY_get_object(entry)) != NID_commonName)
            continue;
        if (text->used)
            add_text(text, ",");
        add_value(library, text, entry, false);
    }
}

/* ---- subject alternative names ---- */

static int type_of(enum peer_name which)
{
    switch (which) {
    case PEER_DNS:
        return GEN_DNS;
    case PEER_IP:
        return GEN_IPADD;
    case PEER_EMAIL:
        return GEN_EMAIL;
    case PEER_URI:
        return GEN_URI;
    default:
        return GEN_OTHERNAME;
    }
}

static void add_address(struct text *text, const uint8_t *address, int size)
{
    char written[INET6_ADDRSTRLEN];
    if (size != 4 && size != 16)
        return;
    add_text(text, inet_ntop(size == 4 ? AF_INET : AF_INET6, address, written, sizeof(written)));
}

/* Those in UTF-8 alone, as Microsoft's user principal names are. */
static void add_other(struct text *text, const struct tls_library *library,
                      const GENERAL_NAME *name)
{
    ASN1_OBJECT *kind;
    ASN1_TYPE *value;
    if (library->GENERAL_NAME_get0_otherName(name, &kind, &value) != 1 ||
        value->type != V_ASN1_UTF8STRING)
        return;
    add(text, library->ASN1_STRING_get0_data(value->value.utf8string),
        (size_t)library->ASN1_STRING_length(value->value.utf8string));
}

static void write_general(const struct tls_library *library, const GENERAL_NAME *name,
                          struct text *text)
{
    int type;
    const ASN1_STRING *value = library->GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_OTHERNAME)
        add_other(text, library, name);
    else if (type == GEN_IPADD)
        add_address(text, library->ASN1_STRING_get0_data(value),
                    library->ASN1_STRING_length(value));
    else
        add(text, library->ASN1_STRING_get0_data(value),
            (size_t)library->ASN1_STRING_length(value));
}

static void write_alternative(const struct tls_library *library, const X509 *certificate, int wanted,
                              size_t index, struct text *text)
{
    GENERAL_NAMES *names = library->X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    const OPENSSL_STACK *stack = (const OPENSSL_STACK *)names;
    int count = names ? library->OPENSSL_sk_num(stack) : 0;
    for (int i = 0; i < count; i++) {
        int type;
        const GENERAL_NAME *name = library->OPENSSL_sk_value(stack, i);
        library->GENERAL_NAME_get0_value(name, &type);
        if (type != wanted || index--)
            continue;
        write_general(library, name, text);
        break;
    }
    library->GENERAL_NAMES_free(names);
}

bool tls_peer_name(const struct tls_library *library, X509 *certificate, enum peer_name which,
                   size_t index, char *text, size_t size)
{
    struct text name = {.at = text, .size = size};
    const X509_NAME *subject = library->X509_get_subject_name(certificate);
    text[0] = '\0';
    if (which == PEER_DISTINGUISHED_NAME)
        write_distinguished(library, subject, &name);
    else if (which == PEER_COMMON_NAME)
        write_common(library, subject, &name);
    else
        write_alternative(library, certificate, type_of(which), index, &name);
    library->ERR_clear_error();
    return name.used && !name.is_wrong;
}

/* ---- what else is told ---- */

static void write_time(const struct tls_library *library, const ASN1_TIME *time, struct text *text)
{
    struct tm tm;
    char piece[64];
    if (library->ASN1_TIME_to_tm(time, &tm) != 1) {
        text->is_wrong = true;
        return;
    }
    strftime(piece, sizeof(piece), "%Y-%m-%dT%H:%M:%SZ", &tm);
    add_text(text, piece);
}

bool tls_peer_certificate(const struct tls_library *library, const X509 *certificate,
                          enum peer_tls which, char *text, size_t size)
{
    struct text out = {.at = text, .size = size};
    text[0] = '\0';
    if (which == PEER_CERT_VALIDITY) {
        write_time(library, library->X509_get0_notBefore(certificate), &out);
        add_text(&out, " - ");
        write_time(library, library->X509_get0_notAfter(certificate), &out);
    } else {
        write_distinguished(library,
                            which == PEER_CERT_ISSUER ? library->X509_get_issuer_name(certificate)
                                                      : library->X509_get_subject_name(certificate),
                            &out);
    }
    library->ERR_clear_error();
    return out.used && !out.is_wrong;
}

/* OpenSSL's name for it with _ for each -, as in aes_256_gcm. */
static void add_algorithm(const struct tls_library *library, struct text *text, int nid)
{
    const char *name = library->OBJ_nid2ln(nid);
    for (; name && *name; name++)
        add_text(text, (char[]){(char)(*name == '-' ? '_' : *name), '\0'});
}

static void add_key_exchange(const struct tls_library *library, struct text *text,
                             const SSL_CIPHER *cipher)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        {NID_kx_any, "any"},     {NID_kx_ecdhe, "ecdhe"},         {NID_kx_dhe, "dhe"},
        {NID_kx_rsa, "rsa"},     {NID_kx_psk, "psk"},             {NID_kx_ecdhe_psk, "ecdhe_psk"},
        {NID_kx_dhe_psk, "dhe_psk"}, {NID_kx_rsa_psk, "rsa_psk"}, {NID_kx_srp, "srp"},
    };
    int exchange = library->SSL_CIPHER_get_kx_nid(cipher);
    int proof = library->SSL_CIPHER_get_auth_nid(cipher);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].nid == exchange)
            add_text(text, names[i].name);
    if (exchange != NID_kx_ecdhe && exchange != NID_kx_dhe)
        return;
    add_text(text, proof == NID_auth_rsa     ? "_rsa"
                   : proof == NID_auth_ecdsa ? "_ecdsa"
                   : proof == NID_auth_dss   ? "_dss"
                                             : "_anon");
}

bool tls_peer_cipher(const struct tls_library *library, const SSL_CIPHER *cipher,
                     enum peer_tls which, char *text, size_t size)
{
    struct text out = {.at = text, .size = size};
    text[0] = '\0';
    if (which == PEER_TLS_KEY_EXCHANGE)
        add_key_exchange(library, &out, cipher);
    else if (which == PEER_TLS_CIPHER)
        add_algorithm(library, &out, library->SSL_CIPHER_get_cipher_nid(cipher));
    else if (library->SSL_CIPHER_is_aead(cipher))
        add_text(&out, "aead");
    else if (library->SSL_CIPHER_get_digest_nid(cipher) == NID_sha1)
        add_text(&out, "sha");
    else
        add_algorithm(library, &out, library->SSL_CIPHER_get_digest_nid(cipher));
    return out.used && !out.is_wrong;
}
