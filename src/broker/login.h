/* Checks of passwords, and hashes of new ones. What is made to be expensive (scrypt) is for a worker, one
 * at a time, so that nobody else waits for it; and one that was right is right again without it, for as long as the
 * user's hash stays: of that a digest with a secret of this process is remembered. */
#ifndef LEVERET_BROKER_LOGIN_H
#define LEVERET_BROKER_LOGIN_H

#include "base/worker.h"
#include "broker/broker.h"
#include "broker/password.h"

struct user;

/* Checks that may wait for the worker: who comes after so many is refused. */
enum { LOGINS_MAX = 32 };

enum login_state { LOGIN_WAITS, LOGIN_RIGHT, LOGIN_WRONG, LOGIN_TOO_MANY };

struct login;

/* Without a worker, which stays the caller's and outlives the broker, all checks are done at once. */
void logins_begin(struct broker *broker, struct worker *worker);
/* Once a turn: what the worker has done. Has any check ended? */
bool logins_tick(struct broker *broker);
void logins_free(struct broker *broker);

/* Is it the password of `user` (NULL: unknown, which takes as long)? `*login` is NULL at first. On
 * LOGIN_WAITS it is the caller's, and the same is to be asked again when `ended` was called, which may
 * be NULL, or in any later turn; then it is freed, and NULL. */
enum login_state login_check(struct broker *broker, const struct user *user, struct bytes password,
                             void (*ended)(void *context), void *context, struct login **login);
/* Makes the hash of a new password, of hash_size(kind) bytes. False: it waits for the worker, or there is
 * too much to do; the same is to be asked again in a later turn, with `*login`, which is NULL at first,
 * and the caller's meanwhile. */
bool login_hash(struct broker *broker, uint8_t kind, struct bytes password,
                uint8_t hash[PASSWORD_HASH_MAX], struct login **login);
/* Nobody wants to know any more. NULL is fine. */
void login_free(struct login *login);

#endif
