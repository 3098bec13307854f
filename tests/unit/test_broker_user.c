/* Passwords, patterns, and what they allow. */
#include <stdio.h>

#include "broker/permission.h"
#include "tests/lib/tap.h"

static bool matches(const char *text, const char *name)
{
    char fault[300];
    struct pattern pattern;
    bool fine = pattern_init(&pattern, bytes_str(text), fault, sizeof(fault));
    bool result = fine && pattern_matches(&pattern, bytes_str(name));
    pattern_free(&pattern);
    return result;
}

static void is_refused(const char *text, const char *wanted)
{
    char fault[300] = "";
    struct pattern pattern;
    ok(!pattern_init(&pattern, bytes_str(text), fault, sizeof(fault)), "%s is none", text);
    is_str(fault, wanted, "why");
    ok(!pattern_matches(&pattern, bytes_str("x")), "it matches nothing");
    pattern_free(&pattern);
}

TEST(patterns_are_not_anchored)
{
    ok(matches("b", "abc") && !matches("b", "ac"), "a part is enough");
    ok(matches("^a", "abc") && !matches("^b", "abc"), "unless it is said");
    ok(matches("(x|y)[0-9]+$", "ax12") && !matches("(x|y)[0-9]+$", "ax"), "Perl's");
    ok(matches("", "") && !matches("", "a"), "the empty one matches the empty name");
    ok(matches("^$", "") && !matches("^$", "a"), "so does this");
    ok(matches(".*", "") && matches(".*", "a"), "this one all");
    ok(matches("^a.b$", "a\xff"
                        "b"),
       "of bytes");
}

TEST(what_is_no_pattern_is_refused)
{
    static char large[5000], nested[200];
    memset(large, 'a', sizeof(large) - 1);
    memset(nested, '(', 60);
    memset(nested + 60, ')', 60);
    is_refused("a(b", "invalid regular expression 'a(b': missing closing parenthesis at offset 3");
    is_refused("*",
               "invalid regular expression '*': quantifier does not follow a repeatable item at "
               "offset 0");
    struct pattern pattern;
    char fault[300];
    ok(!pattern_init(&pattern, bytes_str(large), fault, sizeof(fault)), "a large one");
    pattern_free(&pattern);
    ok(!pattern_init(&pattern, bytes_str(nested), fault, sizeof(fault)), "a deep one");
    pattern_free(&pattern);
}

/* Each of these takes years without limits. */
TEST(no_pattern_stalls)
{
    static const char *const hostile[] = {"^(a+)+$",  "^(a|aa)+$",
                                          "(a*)*b",   "^(([a-z])+.)+[A-Z]$",
                                          "(x+x+)+y", "^((a{1,9}){1,9}){1,9}c"};
    char name[256];
    memset(name, 'a', sizeof(name) - 1);
    name[254] = '!';
    name[255] = '\0';
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        ok(!matches(hostile[i], name), "%s", hostile[i]);
}

static void has_password(uint8_t kind, const char *hex, const char *password)
{
    uint8_t hash[PASSWORD_HASH_MAX];
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned value = 0;
        sscanf(hex + 2 * i, "%2x", &value);
        hash[i] = (uint8_t)value;
    }
    is_int(size, hash_size(kind), "its size");
    ok(password_matches(kind, bytes_of(hash, size), bytes_str(password)), "the right one");
    ok(!password_matches(kind, bytes_of(hash, size), bytes_str("Secret")), "a wrong one");
}

/* Salt 0a0b0c0d and "secret", by another program. */
TEST(hashes_of_others_work)
{
    has_password(HASH_SHA256,
                 "0a0b0c0d739be7cc6b27e1ca78abbea4dce541333cb18d133b0c6780fe11f030"
                 "d8c70d5c",
                 "secret");
    has_password(HASH_SHA512,
                 "0a0b0c0dd22505d7c0d0d1873520b25fe9da5235ffcc53ad7438784f61ff5656"
                 "404d557f50b61727980389c964b98fd86cc63db07cebe1faf93fd6058a87e9a3"
                 "258e29fa",
                 "secret");
    has_password(HASH_MD5, "0a0b0c0d65bdfb677d7fc63c75910529e6718a12", "secret");
    has_password(HASH_SCRYPT,
                 "0a0402000102030405060708090a0b0c0d0e0fc06f93b546385b5071f891"
                 "ce0e65541a251ed5fe315ad97ea287572bcfbeaedf",
                 "secret");
    uint8_t kind;
    ok(hash_kind_find(bytes_str("rabbit_password_hashing_sha512"), &kind) && kind == HASH_SHA512,
       "by its name");
    ok(!hash_kind_find(bytes_str("rabbit_password_hashing_rot13"), &kind), "none");
    ok(hash_is_possible(HASH_MD5, bytes_of("", 0)) && !hash_is_possible(HASH_MD5, bytes_str("abc")),
       "sizes");
}

static bool costs(uint8_t log2_n, uint8_t r, uint8_t p)
{
    uint8_t hash[PASSWORD_HASH_MAX] = {log2_n, r, p};
    return hash_is_possible(HASH_SCRYPT, bytes_of(hash, hash_size(HASH_SCRYPT)));
}

TEST(a_check_has_its_price)
{
    uint8_t kind;
    ok(costs(14, 8, 5) && costs(15, 8, 1) && costs(1, 1, 1), "what is used");
    ok(!costs(0, 8, 5) && !costs(14, 0, 5) && !costs(14, 8, 0), "not nothing");
    ok(!costs(16, 8, 1) && !costs(19, 1, 1) && !costs(255, 255, 255), "not too much memory");
    ok(!costs(15, 8, 5) && !costs(10, 8, 255), "not too much time");
    ok(hash_is_slow(HASH_SCRYPT) && !hash_is_slow(HASH_SHA512), "one is slow");
    ok(hash_kind_find(bytes_str("leveret_scrypt"), &kind) && kind == HASH_SCRYPT, "by its name");
    is_str(hash_kind_name(HASH_SCRYPT), "leveret_scrypt", "and back");
}

TEST(new_hashes_fit)
{
    struct random random;
    random_init(&random, 1);
    for (uint8_t kind = 0; kind < HASH_KINDS; kind++) {
        uint8_t hash[PASSWORD_HASH_MAX], other[PASSWORD_HASH_MAX];
        size_t size = password_hash(kind, bytes_str("secret"), &random, hash);
        password_hash(kind, bytes_str("secret"), &random, other);
        is_int(size, hash_size(kind), "its size");
        ok(hash_is_possible(kind, bytes_of(hash, size)), "it is possible");
        ok(password_matches(kind, bytes_of(hash, size), bytes_str("secret")), "the right one");
        ok(!password_matches(kind, bytes_of(hash, size), bytes_str("secre")), "a wrong one");
        ok(memcmp(hash, other, size) != 0, "each has a salt of its own");
    }
}

int main(void)
{
    RUN(patterns_are_not_anchored);
    RUN(what_is_no_pattern_is_refused);
    RUN(no_pattern_stalls);
    RUN(hashes_of_others_work);
    RUN(a_check_has_its_price);
    RUN(new_hashes_fit);
    return done();
}
