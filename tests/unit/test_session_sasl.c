/* Who may log in, by which mechanism, from where, and what is said when not. */
#include "session/sasl.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "broker/login.h"
#include "session/server_state.h"
#include "tests/lib/tap.h"

/* ---- the users there are ---- */

static struct user *guest, *alice;

struct user *user_find(const struct broker *broker, struct bytes name)
{
    (void)broker;
    return bytes_equal_str(name, "guest") ? guest : bytes_equal_str(name, "alice") ? alice : NULL;
}

static enum login_state told; /* what a check comes to, unless it is LOGIN_RIGHT */

enum login_state login_check(struct broker *broker, const struct user *user, struct bytes password,
                             void (*ended)(void *context), void *context, struct login **login)
{
    (void)broker;
    (void)ended;
    (void)context;
    (void)login;
    bool is_right = (user == guest && bytes_equal_str(password, "guest")) ||
                    (user == alice && bytes_equal(password, bytes_of("se\0cret", 7)));
    return told != LOGIN_RIGHT ? told : is_right ? LOGIN_RIGHT : LOGIN_WRONG;
}

struct bytes client_host(const char *name)
{
    return bytes_str(name);
}

static unsigned held;

void connection_hold(struct connection *what, enum hold reason)
{
    (void)what;
    held |= reason;
}

void connection_release(struct connection *what, enum hold reason)
{
    (void)what;
    held &= ~(unsigned)reason;
}

/* ---- trying ---- */

static struct server *server;
static struct connection *connection;
static struct sasl_login login;
static char mechanisms[SASL_MECHANISMS_BYTES];

static void begin(void)
{
    server = mem_zalloc(sizeof(*server));
    connection = mem_zalloc(sizeof(*connection));
    guest = mem_zalloc(sizeof(*guest) + 8);
    alice = mem_zalloc(sizeof(*alice) + 8);
    connection->server = server;
    server->options.loopback_users = "guest";
    connection->peer.is_loopback = true;
    told = LOGIN_RIGHT;
    held = 0;
}

static void end(void)
{
    mem_free(server);
    mem_free(connection);
    mem_free(guest);
    mem_free(alice);
}

static enum sasl_result try(const char *mechanism, const void *response, size_t size)
{
    login = (struct sasl_login){0};
    return sasl_login(connection, bytes_str(mechanism), bytes_of(response, size), &login);
}

#define PLAIN(text) try("PLAIN", text, sizeof(text) - 1)
#define AMQPLAIN(text) try("AMQPLAIN", text, sizeof(text) - 1)

TEST(plain)
{
    begin();
    is_int(PLAIN("\0guest\0guest"), SASL_OK, "name and password");
    ok(login.user == guest && bytes_equal_str(login.name, "guest"), "it is guest");
    is_str(login.mechanism, "PLAIN", "by PLAIN");
    is_int(PLAIN("somebody\0guest\0guest"), SASL_OK, "whoever it wants to act as");
    ok(login.user == guest, "it is guest");
    is_int(PLAIN("\0alice\0se\0cret"), SASL_OK, "a password is all that follows");
    ok(login.user == alice, "it is alice");
    end();
}

TEST(plain_refused)
{
    begin();
    is_int(PLAIN("\0guest\0Guest"), SASL_REFUSED, "another password");
    is_str(login.reason, "wrong password", "the log is told why");
    is_int(PLAIN("\0alice\0se"), SASL_REFUSED, "a part of the password");
    is_int(PLAIN("\0guest\0"), SASL_REFUSED, "no password");
    is_int(PLAIN("\0bob\0guest"), SASL_REFUSED, "nobody we know");
    is_str(login.reason, "unknown user", "the log is told why");
    ok(!login.user && bytes_equal_str(login.name, "bob"), "and whom");
    end();
}

TEST(plain_malformed)
{
    begin();
    is_int(try("PLAIN", "", 0), SASL_MALFORMED, "nothing");
    is_int(try("PLAIN", NULL, 0), SASL_MALFORMED, "nothing at all");
    is_int(PLAIN("guest"), SASL_MALFORMED, "no NUL");
    is_int(PLAIN("\0guest"), SASL_MALFORMED, "one NUL");
    is_int(PLAIN("guest\0"), SASL_MALFORMED, "one NUL at the end");
    is_str(login.reason, "the response is malformed", "the log is told why");
    is_str(login.mechanism, "PLAIN", "of which mechanism");
    end();
}

TEST(amqplain)
{
    begin();
    is_int(AMQPLAIN("\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest"), SASL_OK, "a table");
    ok(login.user == guest, "it is guest");
    is_str(login.mechanism, "AMQPLAIN", "by AMQPLAIN");
    is_int(AMQPLAIN("\x08PASSWORDS\0\0\0\x05guest\x05LOGINS\0\0\0\x05guest"), SASL_OK,
           "in any order");
    is_int(AMQPLAIN("\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05wrong"), SASL_REFUSED,
           "another password");
    is_int(AMQPLAIN("\x05LOGINS\0\0\0\x05guest"), SASL_MALFORMED, "no password");
    is_int(AMQPLAIN("\x05LOGINI\0\0\0\x05\x08PASSWORDS\0\0\0\x05guest"), SASL_MALFORMED,
           "a name that is a number");
    is_int(AMQPLAIN("\x05LOGINS\0\0\0\xffguest\x08PASSWORDS\0\0\0\x05guest"), SASL_MALFORMED,
           "a string that is longer than the table");
    is_int(AMQPLAIN("\0guest\0guest"), SASL_MALFORMED, "a response of PLAIN");
    end();
}

TEST(guest_is_for_the_machine_itself)
{
    begin();
    connection->peer.is_loopback = false;
    is_int(PLAIN("\0guest\0guest"), SASL_REFUSED, "guest from afar");
    is_str(login.reason, "user 'guest' can only connect via localhost", "the log is told why");
    is_int(PLAIN("\0guest\0wrong"), SASL_REFUSED, "nobody is told that the password was right");
    is_int(PLAIN("\0alice\0se\0cret"), SASL_OK, "others may come from there");
    server->options.guest_anywhere = true;
    is_int(PLAIN("\0guest\0guest"), SASL_OK, "guest too, if that is allowed");
    server->options.loopback_users = "guest,alice";
    is_int(PLAIN("\0guest\0guest"), SASL_OK, "also if it is one of several");
    is_int(PLAIN("\0alice\0se\0cret"), SASL_REFUSED, "who are not allowed");
    is_str(login.reason, "user 'alice' can only connect via localhost", "the log is told who");
    server->options.guest_anywhere = false;
    server->options.loopback_users = "alice,guestbook,gues";
    is_int(PLAIN("\0guest\0guest"), SASL_OK, "names are whole");
    server->options.loopback_users = "";
    is_int(PLAIN("\0alice\0se\0cret"), SASL_OK, "nobody is held back");
    end();
}

TEST(anonymous_is_offered_when_it_is_allowed)
{
    begin();
    is_str(sasl_mechanisms(connection, mechanisms), "PLAIN AMQPLAIN", "what is offered");
    is_int(try("ANONYMOUS", "x", 1), SASL_MALFORMED, "not allowed");
    is_str(login.reason, "the mechanism is not offered", "the log is told why");
    server->options.allow_anonymous = true;
    is_str(sasl_mechanisms(connection, mechanisms), "PLAIN AMQPLAIN ANONYMOUS", "what is offered then");
    is_int(try("ANONYMOUS", "x", 1), SASL_OK, "whatever it says");
    ok(login.user == guest, "it is guest");
    connection->peer.is_loopback = false;
    is_int(try("ANONYMOUS", "", 0), SASL_REFUSED, "who must not come from afar");
    is_int(try("EXTERNAL", "", 0), SASL_MALFORMED, "others are not offered");
    is_int(try("plain", "\0guest\0guest", 12), SASL_MALFORMED, "names are as they are written");
    ok(!login.mechanism, "and not known");
    end();
}

/* ---- certificates ---- */

static enum peer_named shown;
static const char *certified;
static enum peer_name asked;
static size_t asked_index;

static enum peer_named show(const void *owner, enum peer_name which, size_t index, char *text,
                            size_t size)
{
    (void)owner;
    asked = which;
    asked_index = index;
    snprintf(text, size, "%s", certified);
    return shown;
}

TEST(a_certificate_names_a_user)
{
    begin();
    is_int(try("EXTERNAL", "", 0), SASL_MALFORMED, "it is not offered by itself");
    server->options.allow_external = true;
    is_int(try("EXTERNAL", "", 0), SASL_MALFORMED, "nor without TLS");
    is_str(sasl_mechanisms(connection, mechanisms), "PLAIN AMQPLAIN", "what is offered then");
    connection->peer.is_tls = true;
    is_str(sasl_mechanisms(connection, mechanisms), "PLAIN AMQPLAIN EXTERNAL", "and with TLS");
    is_int(try("EXTERNAL", "alice", 5), SASL_REFUSED, "who knows no certificates");
    is_str(login.reason, "it has shown no certificate", "the log is told why");
    connection->conversation.peer_name = show;
    server->options.external_name = PEER_EMAIL;
    server->options.external_index = 3;
    shown = PEER_NAMED;
    certified = "alice";
    is_int(try("EXTERNAL", "guest", 5), SASL_OK, "a name, whatever the client answers");
    ok(login.user == alice && bytes_equal_str(login.name, "alice"), "the certificate counts");
    is_str(login.mechanism, "EXTERNAL", "by EXTERNAL");
    ok(asked == PEER_EMAIL && asked_index == 3, "by the name that options want");
    certified = "bob";
    is_int(try("EXTERNAL", "", 0), SASL_REFUSED, "a certificate makes no user");
    is_str(login.reason, "unknown user", "the log is told why");
    ok(bytes_equal_str(login.name, "bob"), "and whom");
    certified = "guest";
    connection->peer.is_loopback = false;
    is_int(try("EXTERNAL", "", 0), SASL_REFUSED, "guest must not come from afar");
    certified = "alice";
    static const enum peer_named others[] = {PEER_NAMELESS, PEER_UNPROVEN, PEER_NO_CERTIFICATE};
    for (size_t i = 0; i < 3; i++) {
        shown = others[i];
        is_int(try("EXTERNAL", "", 0), SASL_REFUSED, "without a name that was proven");
        ok(!login.user && login.name.size == 0, "it is nobody");
    }
    end();
}

TEST(a_check_may_take_long)
{
    begin();
    told = LOGIN_WAITS;
    is_int(PLAIN("\0alice\0se\0cret"), SASL_WAITS, "it is not known yet");
    ok(held == HOLD_LOGIN && !*login.reason, "the connection waits");
    is_int(PLAIN("\0bob\0secret"), SASL_WAITS, "nor is that nobody has that name");
    told = LOGIN_TOO_MANY;
    is_int(PLAIN("\0alice\0se\0cret"), SASL_REFUSED, "too many wait");
    is_str(login.reason, "too many passwords are being checked", "the log is told why");
    end();
}

int main(void)
{
    RUN(plain);
    RUN(plain_refused);
    RUN(plain_malformed);
    RUN(amqplain);
    RUN(guest_is_for_the_machine_itself);
    RUN(anonymous_is_offered_when_it_is_allowed);
    RUN(a_certificate_names_a_user);
    RUN(a_check_may_take_long);
    return done();
}
