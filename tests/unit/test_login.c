/* Passwords whose check takes long: a worker does it, nobody else waits, and all that may happen
 * meanwhile does. */
#include "broker/login.h"

#include <stdio.h>

#include "base/scrypt.h"
#include "broker/user.h"
#include "definitions/definitions.h"
#include "tests/lib/tap.h"
#include "tests/script/world.h"

static struct world world;

/* One that costs little here; what it costs anyone else is not looked at. */
static void put_user(const char *name, const char *password)
{
    const struct scrypt_cost cost = {.log2_n = 4, .r = 1, .p = 1};
    uint8_t hash[PASSWORD_HASH_MAX] = {4, 1, 1, 'a', 'b', 'c'};
    struct error error;
    scrypt(bytes_str(password), bytes_of(hash + 3, 16), &cost, hash + 19, 32);
    struct bytes bytes = bytes_of(hash, hash_size(HASH_SCRYPT));
    struct user_request request = {
        .name = bytes_str(name), .password_hash = &bytes, .hash_kind = HASH_SCRYPT};
    ok(user_set(&world.broker, &request, &error), "there is %s", name);
}

static void begin(void)
{
    world_new(&world, false);
    put_user("ann", "secret");
    world.is_checker_held = true;
}

static void end(void)
{
    world_free(&world);
}

/* Says who it is; whatever is said to that comes after connection.start. */
static struct client *say(int number, const char *name, const char *password)
{
    struct client *client = &world.clients[number];
    char text[300];
    world_dial(&world, client, true);
    buffer_add(&client->out, "AMQP\0\0\x09\x01", 8);
    world_settle(&world);
    client->in.size = 0;
    snprintf(text, sizeof(text),
             "connection.start-ok mechanism=PLAIN response=\"\\x00%s\\x00%s\" "
             "client_properties={capabilities:table {authentication_failure_close:bool true}}",
             name, password);
    world_add_method(&client->out, 0, text);
    world_settle(&world);
    return client;
}

static void release(void)
{
    world.is_checker_held = false;
    world_settle(&world);
    world.is_checker_held = true;
}

static const char *heard(struct client *client)
{
    uint8_t *method = client->in.data + 7;
    if (client->in.size == 0)
        return "nothing";
    bool is_tune = method[1] == 10 && method[3] == 30;
    bool is_close = method[1] == 10 && method[3] == 50;
    return is_tune ? "tune" : is_close ? "close" : "something else";
}

TEST(others_do_not_wait)
{
    begin();
    struct client *ann = say(0, "ann", "secret");
    is_str(heard(ann), "nothing", "it is being checked");
    world_log_in(&world, &world.clients[1]);
    ok(world.clients[1].connection, "guest comes in meanwhile");
    release();
    is_str(heard(ann), "tune", "it was right");
    is_str(heard(say(2, "ann", "wrong")), "nothing", "a wrong one is checked as well");
    release();
    is_str(heard(&world.clients[2]), "close", "and refused");
    end();
}

TEST(what_was_right_is_right_again)
{
    begin();
    say(0, "ann", "secret");
    release();
    is_str(heard(say(1, "ann", "secret")), "tune", "at once");
    is_str(heard(say(2, "ann", "secret1")), "nothing", "another one is checked");
    put_user("ann", "changed");
    is_str(heard(say(3, "ann", "secret")), "nothing", "so is the old one, after a change");
    release();
    is_str(heard(&world.clients[3]), "close", "it is none any more");
    say(4, "ann", "changed");
    release();
    is_str(heard(&world.clients[4]), "tune", "the new one is");
    end();
}

TEST(one_check_is_for_all)
{
    begin();
    for (int i = 0; i < 4; i++)
        is_str(heard(say(i, "ann", i == 2 ? "wrong" : "secret")), "nothing", "it waits");
    ok(worker_step(world.checker), "one is checked");
    world_settle(&world);
    is_str(heard(&world.clients[0]), "tune", "it was right");
    is_str(heard(&world.clients[1]), "tune", "so it is for the next");
    is_str(heard(&world.clients[2]), "nothing", "another one is checked");
    release();
    is_str(heard(&world.clients[2]), "close", "it was wrong");
    is_str(heard(&world.clients[3]), "tune", "behind it there was a right one");
    ok(!worker_step(world.checker), "it was not checked again");
    end();
}

TEST(the_user_may_change_meanwhile)
{
    struct error error;
    begin();
    say(0, "ann", "secret");
    put_user("ann", "changed");
    release();
    is_str(heard(&world.clients[0]), "close", "it was right when it was said");
    say(1, "ann", "changed");
    ok(user_delete(&world.broker, bytes_str("ann"), &error), "ann is deleted");
    release();
    is_str(heard(&world.clients[1]), "close", "nobody has that name now");
    end();
}

TEST(nobody_learns_who_is_unknown)
{
    begin();
    is_str(heard(say(0, "bob", "secret")), "nothing", "it takes a check as well");
    release();
    is_str(heard(&world.clients[0]), "close", "which is wrong");
    end();
}

TEST(who_is_gone_is_forgotten)
{
    begin();
    say(0, "ann", "wrong");
    say(1, "ann", "secret");
    say(2, "ann", "secret");
    world_hang_up(&world.clients[0]);
    world_hang_up(&world.clients[1]);
    world_settle(&world);
    is_int(world.broker.logins.count, 2, "but what the worker has");
    release();
    is_str(heard(&world.clients[2]), "tune", "who waited behind them");
    is_int(world.broker.logins.count, 0, "none is left");
    say(3, "ann", "later");
    say(4, "ann", "still later");
    end();
}

TEST(the_handshake_ends_in_time)
{
    begin();
    say(0, "ann", "secret");
    world_advance(&world, 11000);
    ok(!world.clients[0].connection, "also if its password is not checked until then");
    release();
    is_int(world.broker.logins.count, 0, "none is left");
    end();
}

TEST(too_many_are_refused)
{
    struct login *logins[LOGINS_MAX + 1] = {NULL};
    begin();
    const struct user *ann = user_find(&world.broker, bytes_str("ann"));
    for (int i = 0; i < LOGINS_MAX; i++)
        if (login_check(&world.broker, ann, bytes_str("wrong"), NULL, NULL, &logins[i]) != LOGIN_WAITS)
            ok(false, "check %d waits", i);
    is_int(login_check(&world.broker, ann, bytes_str("secret"), NULL, NULL, &logins[LOGINS_MAX]),
           LOGIN_TOO_MANY, "one more");
    is_str(heard(say(0, "ann", "secret")), "close", "so is a client");
    is_str(heard(say(1, "guest", "guest")), "tune", "not one whose check is quick");
    release();
    is_int(login_check(&world.broker, ann, bytes_str("wrong"), NULL, NULL, &logins[0]), LOGIN_WRONG,
           "a check ends");
    ok(!logins[0], "and is forgotten");
    is_str(heard(say(2, "ann", "secret")), "nothing", "there is room for another");
    for (int i = 1; i < LOGINS_MAX; i++)
        login_free(logins[i]);
    is_int(world.broker.logins.count, 1, "that one");
    end();
}

TEST(without_a_worker)
{
    struct login *login = NULL;
    begin();
    world.broker.logins.worker = NULL;
    const struct user *ann = user_find(&world.broker, bytes_str("ann"));
    is_int(login_check(&world.broker, ann, bytes_str("secret"), NULL, NULL, &login), LOGIN_RIGHT, "right");
    is_int(login_check(&world.broker, ann, bytes_str("wrong"), NULL, NULL, &login), LOGIN_WRONG, "wrong");
    is_int(login_check(&world.broker, NULL, bytes_str("secret"), NULL, NULL, &login), LOGIN_WRONG, "unknown");
    end();
}

TEST(hashes_survive)
{
    begin();
    world_restart(&world, false);
    say(0, "ann", "secret");
    release();
    is_str(heard(&world.clients[0]), "tune", "after a restart");
    world_restart(&world, true);
    say(1, "ann", "secret");
    release();
    is_str(heard(&world.clients[1]), "tune", "after a crash");
    end();
}

static struct bytes hash_in(const uint8_t *hash, uint8_t kind)
{
    return bytes_of(hash, hash_size(kind));
}

/* As definitions and operators give them. */
TEST(hashes_of_new_passwords_wait_as_well)
{
    uint8_t hash[PASSWORD_HASH_MAX];
    struct login *login = NULL;
    struct bytes secret = bytes_str("secret");
    begin();
    ok(login_hash(&world.broker, HASH_SHA256, secret, hash, &login) && !login, "a quick one is made");
    ok(password_matches(HASH_SHA256, hash_in(hash, HASH_SHA256), secret), "and right");
    ok(!login_hash(&world.broker, HASH_SCRYPT, secret, hash, &login) && login, "another one waits");
    is_str(heard(say(0, "ann", "secret")), "nothing", "and so does a check behind it");
    ok(!login_hash(&world.broker, HASH_SCRYPT, secret, hash, &login), "it still does");
    release();
    ok(login_hash(&world.broker, HASH_SCRYPT, secret, hash, &login) && !login, "then it is made");
    ok(password_matches(HASH_SCRYPT, hash_in(hash, HASH_SCRYPT), secret), "and right");
    is_str(heard(&world.clients[0]), "tune", "and so was the check");
    ok(!login_hash(&world.broker, HASH_SCRYPT, secret, hash, &login), "one that waits");
    login_free(login);
    release();
    is_int(world.broker.logins.count, 0, "may be forgotten");
    end();
}

static void tell_nothing(void *context, const struct definitions_remark *remark)
{
    (void)context;
    (void)remark;
}

TEST(an_import_waits_for_them)
{
    static const char text[] =
        "{\"users\": [{\"name\": \"bob\", \"password\": \"secret\", \"tags\": \"\","
        " \"hashing_algorithm\": \"leveret_scrypt\"}, {\"name\": \"eve\", \"password\": \"\"}]}";
    struct definitions_listener listener = {tell_nothing, NULL};
    struct definitions_counts counts;
    struct budget budget = budget_of(INT64_MAX);
    begin();
    for (int is_dropped = 1; is_dropped >= 0; is_dropped--) {
        struct import *import =
            definitions_begin(&world.broker, NULL, bytes_str(text), &listener, &counts);
        ok(definitions_go_on(import, &budget), "there is more to do");
        ok(definitions_go_on(import, &budget) && definitions_wait(import), "but it waits");
        ok(!user_find(&world.broker, bytes_str("bob")), "nobody is there");
        if (!is_dropped) {
            release();
            ok(!definitions_go_on(import, &budget), "then there is no more");
        }
        is_int(definitions_end(import), !is_dropped, "is it done?");
        release();
        is_int(world.broker.logins.count, 0, "nothing waits");
    }
    const struct user *bob = user_find(&world.broker, bytes_str("bob"));
    is_int(counts.users, 2, "users");
    ok(bob && user_check_password(bob, bytes_str("secret")), "with the password that was given");
    end();
}

int main(void)
{
    RUN(others_do_not_wait);
    RUN(what_was_right_is_right_again);
    RUN(one_check_is_for_all);
    RUN(the_user_may_change_meanwhile);
    RUN(nobody_learns_who_is_unknown);
    RUN(who_is_gone_is_forgotten);
    RUN(the_handshake_ends_in_time);
    RUN(too_many_are_refused);
    RUN(without_a_worker);
    RUN(hashes_survive);
    RUN(hashes_of_new_passwords_wait_as_well);
    RUN(an_import_waits_for_them);
    return done();
}
