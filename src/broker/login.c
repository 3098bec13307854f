/* The list of checks is the owner's; the worker sees one of them, which nobody else touches meanwhile. */
#include "broker/login.h"

#include "base/digest.h"
#include "base/mem.h"
#include "broker/user.h"

struct login {
    struct job job;
    struct list link; /* in logins->waiting */
    struct broker *broker;
    enum login_state state;
    bool is_new;     /* a hash is to be made, and nothing to be checked */
    bool is_right;   /* the worker's answer */
    bool is_running; /* it is with the worker */
    bool is_unwanted;
    void (*ended)(void *context);
    void *context;
    uint8_t hash[PASSWORD_HASH_MAX];
    uint8_t hash_kind;
    size_t name_size, password_size; /* name_size 0: nobody */
    uint8_t texts[];                 /* name and password */
};

static struct bytes name_of(const struct login *login)
{
    return bytes_of(login->texts, login->name_size);
}

static struct bytes password_of(const struct login *login)
{
    return bytes_of(login->texts + login->name_size, login->password_size);
}

static struct bytes hash_of(const struct login *login)
{
    return bytes_of(login->hash, hash_size(login->hash_kind));
}

/* ---- what was right before ---- */

static void prove(const struct broker *broker, struct bytes password, uint8_t proof[SHA256_SIZE])
{
    sha256(bytes_of(broker->logins.secret, sizeof(broker->logins.secret)), password, proof);
}

static bool is_proven(const struct broker *broker, const struct user *user, struct bytes password)
{
    uint8_t proof[SHA256_SIZE], different = 0;
    if (!user->is_proven)
        return false;
    prove(broker, password, proof);
    for (size_t i = 0; i < sizeof(proof); i++)
        different |= (uint8_t)(proof[i] ^ user->proof[i]);
    return different == 0;
}

/* ---- the worker ---- */

static void run(struct job *job)
{
    struct login *login = list_entry(job, struct login, job);
    if (login->is_new)
        password_hash_end((enum hash_kind)login->hash_kind, password_of(login), login->hash);
    else
        login->is_right = password_matches(login->hash_kind, hash_of(login), password_of(login));
}

static void forget(struct login *login)
{
    login->broker->logins.count--;
    list_remove(&login->link);
    explicit_bzero(login->texts, login->name_size + login->password_size);
    mem_free(login);
}

static void end(struct login *login, bool is_right)
{
    login->state = is_right ? LOGIN_RIGHT : LOGIN_WRONG;
    if (login->is_unwanted)
        forget(login);
    else if (login->ended)
        login->ended(login->context);
}

/* Those behind it may have the password that was just found right. */
static void next(struct broker *broker)
{
    struct logins *logins = &broker->logins;
    struct list *link;
    while (!logins->is_busy && (link = list_take_first(&logins->waiting))) {
        struct login *login = list_entry(link, struct login, link);
        const struct user *user = user_find(broker, name_of(login));
        if (user && is_proven(broker, user, password_of(login))) {
            end(login, true);
            continue;
        }
        login->is_running = logins->is_busy = true;
        logins->worker->ops->submit(logins->worker, &login->job);
    }
}

/* The password may have been changed meanwhile. */
static void done(struct job *job)
{
    struct login *login = list_entry(job, struct login, job);
    struct broker *broker = login->broker;
    struct user *user = user_find(broker, name_of(login));
    bool is_same = !login->is_new && user && user->has_password && user->hash_kind == login->hash_kind &&
                   memcmp(user->password_hash, login->hash, hash_of(login).size) == 0;
    login->is_running = broker->logins.is_busy = false;
    if (is_same && login->is_right) {
        prove(broker, password_of(login), user->proof);
        user->is_proven = true;
    }
    end(login, login->is_new || (is_same && login->is_right));
    next(broker);
}

/* ---- the list ---- */

void logins_begin(struct broker *broker, struct worker *worker)
{
    struct logins *logins = &broker->logins;
    logins->worker = worker;
    for (size_t i = 0; i < sizeof(logins->secret); i += sizeof(uint64_t)) {
        uint64_t number = random_next(broker->random);
        memcpy(logins->secret + i, &number, sizeof(number));
    }
}

bool logins_tick(struct broker *broker)
{
    struct worker *worker = broker->logins.worker;
    struct job *job;
    bool any = false;
    if (!broker->logins.is_busy)
        return false;
    while ((job = worker->ops->finished(worker))) {
        job->done(job);
        any = true;
    }
    return any;
}

void logins_free(struct broker *broker)
{
    struct logins *logins = &broker->logins;
    for (struct list *link; (link = list_take_first(&logins->waiting));)
        forget(list_entry(link, struct login, link));
    if (!logins->is_busy)
        return;
    logins->worker->ops->drain(logins->worker);
    logins_tick(broker);
}

static struct login *login_new(struct broker *broker, struct bytes name, struct bytes password)
{
    struct login *login = mem_zalloc(sizeof(*login) + name.size + password.size);
    login->job = (struct job){.run = run, .done = done};
    list_init(&login->link);
    login->broker = broker;
    login->name_size = name.size;
    login->password_size = password.size;
    login->hash_kind = HASH_SCRYPT;
    if (name.size)
        memcpy(login->texts, name.data, name.size);
    if (password.size)
        memcpy(login->texts + name.size, password.data, password.size);
    broker->logins.count++;
    list_push_back(&broker->logins.waiting, &login->link);
    return login;
}

static bool is_slow(const struct broker *broker, const struct user *user)
{
    if (!broker->logins.worker)
        return false;
    return user ? user->has_password && hash_is_slow(user->hash_kind) : broker->logins.any_slow;
}

/* Of somebody unknown there is a hash that fits nothing, if others take long. */
static enum login_state begin(struct broker *broker, const struct user *user, struct bytes password,
                              struct login **login)
{
    static const uint8_t nobody[] = {14, 8, 5};
    if (user && is_proven(broker, user, password))
        return LOGIN_RIGHT;
    if (broker->logins.count == LOGINS_MAX)
        return LOGIN_TOO_MANY;
    *login = login_new(broker, user ? user_name(user) : bytes_of(NULL, 0), password);
    memcpy((*login)->hash, user ? user->password_hash : nobody,
           user ? hash_size(HASH_SCRYPT) : sizeof(nobody));
    next(broker);
    return LOGIN_WAITS;
}

enum login_state login_check(struct broker *broker, const struct user *user, struct bytes password,
                             void (*ended)(void *context), void *context, struct login **login)
{
    enum login_state state = LOGIN_WAITS;
    if (!*login && !is_slow(broker, user))
        return user_check_password(user, password) ? LOGIN_RIGHT : LOGIN_WRONG;
    state = *login ? (*login)->state : begin(broker, user, password, login);
    if (state != LOGIN_WAITS && *login) {
        forget(*login);
        *login = NULL;
    } else if (*login) {
        (*login)->ended = ended;
        (*login)->context = context;
    }
    return state;
}

static struct login *begin_hash(struct broker *broker, struct bytes password)
{
    if (broker->logins.count == LOGINS_MAX)
        return NULL;
    struct login *login = login_new(broker, bytes_of(NULL, 0), password);
    login->is_new = true;
    password_hash_begin(HASH_SCRYPT, broker->random, login->hash);
    next(broker);
    return login;
}

bool login_hash(struct broker *broker, uint8_t kind, struct bytes password,
                uint8_t hash[PASSWORD_HASH_MAX], struct login **login)
{
    if (!broker->logins.worker || !hash_is_slow(kind)) {
        password_hash((enum hash_kind)kind, password, broker->random, hash);
        return true;
    }
    if (!*login)
        *login = begin_hash(broker, password);
    if (!*login || (*login)->state == LOGIN_WAITS)
        return false;
    memcpy(hash, (*login)->hash, hash_size(kind));
    forget(*login);
    *login = NULL;
    return true;
}

void login_free(struct login *login)
{
    if (!login)
        return;
    login->is_unwanted = true;
    login->ended = NULL;
    if (!login->is_running)
        forget(login);
}
