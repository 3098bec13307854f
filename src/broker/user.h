/* Users: who may log in, and what they may do. */
#ifndef LEVERET_BROKER_USER_H
#define LEVERET_BROKER_USER_H

#include "broker/broker.h"
#include "broker/error.h"
#include "broker/password.h"

enum user_tag {
    TAG_ADMINISTRATOR = 1,
    TAG_MONITORING = 2,
    TAG_POLICYMAKER = 4,
    TAG_MANAGEMENT = 8,
    TAG_IMPERSONATOR = 16, /* messages may say that they are another user's */
};

struct quota;

struct user {
    uint8_t password_hash[PASSWORD_HASH_MAX];
    uint8_t hash_kind;
    bool has_password; /* else the user cannot log in */
    bool is_proven;    /* a password was right, whose digest is `proof`: login.c */
    uint8_t proof[32];
    bool is_gone;      /* deleted; it is there as long as somebody has it */
    bool is_old;       /* of a time when all could do everything: restore.c */
    unsigned tags;     /* set of enum user_tag */
    char *tags_text;   /* all of them, separated by commas */
    struct limit max_connections, max_channels;
    struct quota *quota; /* NULL: it never had one; quota.h: rates alone */
    size_t connections, channels; /* open now */
    size_t holders;               /* who has a pointer to it */
    struct map permissions;       /* struct permission by virtual host */
    struct map topics;            /* struct topic_permission by virtual host and exchange */
    size_t name_size;
    char name[]; /* terminated as well */
};

static inline struct bytes user_name(const struct user *user)
{
    return bytes_of(user->name, user->name_size);
}

struct user *user_find(const struct broker *broker, struct bytes name);
/* Takes as long for an unknown user (NULL) as for a wrong password; for the whole of it, login.h. */
bool user_check_password(const struct user *user, struct bytes password);
/* Who keeps a pointer holds the user, and releases it in the end: it may be deleted. */
void user_hold(struct user *user);
void user_release(struct user *user);

/* ---- changes: decided here, and applied; false, with the error, for what cannot be ---- */

/* A new user, or what one is to be from now on. What is NULL stays as it is; a new one has none. */
struct user_request {
    struct bytes name;                 /* 1 to 255 bytes */
    const struct bytes *password_hash; /* salt and digest; empty: cannot log in */
    enum hash_kind hash_kind;          /* of that hash */
    const struct bytes *tags;          /* separated by commas; spaces do not count */
    const struct limit *max_connections, *max_channels;
    const struct quota_limits *quotas;
};

/* Those of a list with commas between them that mean something here: set of enum user_tag. */
unsigned user_tags_of(struct bytes list);

bool user_set_decide(const struct broker *broker, const struct user_request *request,
                     struct changes *changes, struct error *error);
bool user_set(struct broker *broker, const struct user_request *request, struct error *error);
/* The same for one thing of a user who is there; 404 if it is not. */
bool user_set_password(struct broker *broker, struct bytes name, enum hash_kind kind,
                       struct bytes password, struct error *error);
bool user_clear_password(struct broker *broker, struct bytes name, struct error *error);
bool user_set_tags(struct broker *broker, struct bytes name, struct bytes tags,
                   struct error *error);
/* With all permissions; those who are logged in are closed by who has their connections. */
bool user_delete_decide(const struct broker *broker, struct bytes name, struct changes *changes,
                        struct error *error);
bool user_delete(struct broker *broker, struct bytes name, struct error *error);
/* Do any limits hold for it? */
bool user_has_limits(const struct user *user);
/* 404 `no user 'ann'`. */
struct user *user_need(const struct broker *broker, struct bytes name, struct error *error);

/* Creates the user, or gives it a new password. */
struct user *user_put(struct broker *broker, struct bytes name, struct bytes password);
/* The same with what was made from the password before: salt and SHA-256, or nothing for a user who
 * cannot log in. */
struct user *user_put_hash(struct broker *broker, struct bytes name, struct bytes password_hash);

/* ---- for this folder ---- */

/* The change that would make what is there; `changes` keeps copies of what the change may replace.
 */
struct change user_change(const struct user *user, struct changes *changes);
void user_free(struct user *user);

#endif
