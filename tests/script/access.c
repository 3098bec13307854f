#include "tests/script/access.h"

#include <stdlib.h>

#include "broker/firehose.h"
#include "broker/permission.h"
#include "broker/quota.h"

enum { WORDS_MAX = 5 };

struct words {
    struct bytes word[WORDS_MAX]; /* "" in quotes is empty */
};

static struct words words_of(char *line)
{
    struct words words;
    for (int i = 0; i < WORDS_MAX; i++) {
        words.word[i] = bytes_str(run_word(&line));
        if (bytes_equal_str(words.word[i], "\"\""))
            words.word[i].size = 0;
    }
    return words;
}

static bool put_user(struct broker *broker, const struct words *words, struct error *error)
{
    struct user_request request = {.name = words->word[0], .tags = &words->word[2]};
    return user_set(broker, &request, error) &&
           user_set_password(broker, words->word[0], HASH_SHA256, words->word[1], error);
}

static bool put_vhost(struct broker *broker, const struct words *words, struct error *error)
{
    struct vhost_request request = {.name = words->word[0]};
    return vhost_set(broker, &request, error);
}

static bool permit(struct broker *broker, const struct words *words, struct error *error)
{
    struct permission_request request = {.user = words->word[0],
                                         .vhost = words->word[1],
                                         .configure = words->word[2],
                                         .write = words->word[3],
                                         .read = words->word[4]};
    return permission_set(broker, &request, error);
}

static bool forbid(struct broker *broker, const struct words *words, struct error *error)
{
    return permission_clear(broker, words->word[0], words->word[1], error);
}

static bool permit_topics(struct broker *broker, const struct words *words, struct error *error)
{
    struct permission_request request = {.user = words->word[0],
                                         .vhost = words->word[1],
                                         .exchange = words->word[2],
                                         .write = words->word[3],
                                         .read = words->word[4]};
    return topic_permission_set(broker, &request, error);
}

static bool delete_user(struct broker *broker, const struct words *words, struct error *error)
{
    return user_delete(broker, words->word[0], error);
}

/* VHOST on|off */
static bool trace(struct broker *broker, const struct words *words, struct error *error)
{
    return firehose_set(broker, words->word[0], bytes_equal_str(words->word[1], "on"), error);
}

static bool delete_vhost(struct broker *broker, const struct words *words, struct error *error)
{
    return vhost_delete(broker, words->word[0], error);
}

static struct limit limit_of(struct bytes word)
{
    return (struct limit){true, (uint32_t)strtoul((const char *)word.data, NULL, 10)};
}

/* NAME CONNECTIONS CHANNELS */
static bool limit_user(struct broker *broker, const struct words *words, struct error *error)
{
    struct limit connections = limit_of(words->word[1]), channels = limit_of(words->word[2]);
    struct user_request request = {
        .name = words->word[0], .max_connections = &connections, .max_channels = &channels};
    return user_set(broker, &request, error);
}

/* NAME CONNECTIONS QUEUES */
static bool limit_vhost(struct broker *broker, const struct words *words, struct error *error)
{
    struct limit connections = limit_of(words->word[1]), queues = limit_of(words->word[2]);
    struct vhost_request request = {
        .name = words->word[0], .max_connections = &connections, .max_queues = &queues};
    return vhost_set(broker, &request, error);
}

static bool change_quota(struct quota_limits *limits, const struct words *words, bool of_user)
{
    enum quota_kind kind;
    if (!quota_find(words->word[1], of_user, &kind))
        return false;
    if (bytes_equal_str(words->word[2], "none"))
        quota_unlimit(limits, kind);
    else
        quota_limit(limits, kind, strtoull((const char *)words->word[2].data, NULL, 10));
    return true;
}

/* NAME KIND MOST */
static bool quota_user(struct broker *broker, const struct words *words, struct error *error)
{
    const struct user *user = user_need(broker, words->word[0], error);
    struct quota_limits quotas = quota_limits_of(user ? user->quota : NULL);
    struct user_request request = {.name = words->word[0], .quotas = &quotas};
    return user && (change_quota(&quotas, words, true) || error_set(error, 1, "no such quota")) &&
           user_set(broker, &request, error);
}

/* NAME KIND MOST */
static bool quota_vhost(struct broker *broker, const struct words *words, struct error *error)
{
    const struct vhost *vhost = vhost_need(broker, words->word[0], error);
    struct quota_limits quotas = quota_limits_of(vhost ? vhost->quota : NULL);
    struct vhost_request request = {.name = words->word[0], .quotas = &quotas};
    return vhost && (change_quota(&quotas, words, false) || error_set(error, 1, "no such quota")) &&
           vhost_set(broker, &request, error);
}

bool access_line(struct run *run, const char *verb, char *line)
{
    static const struct {
        const char *verb;
        bool (*call)(struct broker *broker, const struct words *words, struct error *error);
    } verbs[] = {
        {"user", put_user},
        {"delete-user", delete_user},
        {"limit-user", limit_user},
        {"vhost", put_vhost},
        {"delete-vhost", delete_vhost},
        {"limit-vhost", limit_vhost},
        {"quota-user", quota_user},
        {"quota-vhost", quota_vhost},
        {"permit", permit},
        {"forbid", forbid},
        {"topics", permit_topics},
        {"trace", trace},
    };
    struct error error;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verb, verbs[i].verb) != 0)
            continue;
        struct words words = words_of(line);
        if (!verbs[i].call(&run->world.broker, &words, &error))
            run_fault(run, "%u %s", error.code, error.detail);
        return true;
    }
    return false;
}
