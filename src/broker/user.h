/* Users and what they may do. Passwords are kept as RabbitMQ keeps them: four bytes of salt, then
 * SHA-256 of salt and password. */
#ifndef LEVERET_BROKER_USER_H
#define LEVERET_BROKER_USER_H

#include "broker/broker.h"

enum { SALT_SIZE = 4, PASSWORD_HASH_SIZE = SALT_SIZE + 32 };

struct user {
    uint8_t password_hash[PASSWORD_HASH_SIZE];
    bool has_password; /* else the user cannot log in */
    size_t name_size;
    char name[];
};

struct user *user_find(const struct broker *broker, struct bytes name);
/* Creates the user, or gives it a new password. */
struct user *user_put(struct broker *broker, struct bytes name, struct bytes password);
/* The same with what was made from the password before: salt and digest, or nothing for a user who
 * cannot log in. */
struct user *user_put_hash(struct broker *broker, struct bytes name, struct bytes password_hash);
/* Takes as long for an unknown user (NULL) as for a wrong password. */
bool user_check_password(const struct user *user, struct bytes password);

#endif
