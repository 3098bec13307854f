/* See membership.h. */
#include "membership.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/digest.h"
#include "base/mem.h"
#include "bind.h"
#include "broker/broker.h"
#include "cluster/lane.h"
#include "net/clock.h"
#include "session/agreed.h"
#include "store/store.h"

#define NOBODY_TOLD UINT32_MAX

enum { GROUP = 2, GENERATION = 1, SEAT = 1, WAIT = 1 };

struct membership {
    struct service service; /* has told who leads, and writes down whom the links have seen */
    struct membership_options options;
    struct tls_options tls_options;
    struct tls_context *tls;
    struct disk *disk;
    struct store *store;
    struct node_identity identity;
    struct cluster *cluster;
    struct lanes *lanes;
    struct service *links; /* NULL: not there yet */
    uint32_t told;         /* who leads, as the log has it; NOBODY_TOLD at first */
};

static const struct cluster_settings *settings_of(const struct membership *membership)
{
    return &membership->options.options->cluster;
}

/* ---- who is who ---- */

/* The list as it is in the configuration: the same one is the same cluster. */
static void cluster_id(const struct cluster_settings *settings, uint8_t id[NODE_ID_BYTES])
{
    uint8_t digest[SHA256_SIZE];
    struct buffer list = {0};
    for (uint32_t i = 0; i < settings->count; i++) {
        buffer_add_u32(&list, settings->nodes[i].number);
        buffer_add_u32(&list, (uint32_t)strlen(settings->nodes[i].at));
        buffer_add(&list, settings->nodes[i].at, strlen(settings->nodes[i].at));
    }
    sha256(bytes_str("leveret cluster"), buffer_bytes(&list), digest);
    memcpy(id, digest, NODE_ID_BYTES);
    buffer_free(&list);
}

static void node_id(const uint8_t cluster[NODE_ID_BYTES], uint32_t number, uint8_t id[NODE_ID_BYTES])
{
    uint8_t digest[SHA256_SIZE];
    const uint8_t one = (uint8_t)number;
    sha256(bytes_of(cluster, NODE_ID_BYTES), bytes_of(&one, 1), digest);
    memcpy(id, digest, NODE_ID_BYTES);
}

static struct engine_members first_members(const struct cluster_settings *settings)
{
    struct engine_members members = {.count = settings->count};
    for (uint32_t i = 0; i < settings->count; i++)
        members.of[i] =
            (struct engine_member){group_member_id(settings->nodes[i].number, SEAT), ENGINE_VOTER};
    return members;
}

static bool refuse(char *what, size_t what_size, const char *why)
{
    snprintf(what, what_size, "%s", why);
    return false;
}

/* ---- a start ---- */

static bool load_tls(struct membership *membership, char *what, size_t what_size)
{
    membership->tls_options = tls_options_of_brokers(settings_of(membership)->cookie);
    membership->tls =
        tls_context_new(&membership->tls_options, membership->options.log, what, what_size);
    return membership->tls;
}

/* Who it is, for all starts to come. */
static bool identify(struct membership *membership, bool is_founder, char *what, size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    struct node_identity *identity = &membership->identity;
    uint8_t cluster[NODE_ID_BYTES], id[NODE_ID_BYTES];
    uint64_t nonce;
    if (getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return refuse(what, what_size, "the system has no random numbers");
    cluster_id(settings, cluster);
    node_id(cluster, settings->number, id);
    int error = node_identity_start(membership->disk, id, nonce, identity);
    if (!error && is_founder) {
        memcpy(identity->cluster, cluster, NODE_ID_BYTES);
        error = node_identity_write(membership->disk, identity);
    }
    if (error) {
        snprintf(what, what_size, "the file %s cannot be used: %s", NODE_FILE, strerror(error));
        return false;
    }
    node_id(identity->cluster, settings->number, id);
    return node_id_equal(id, identity->node) ||
           refuse(what, what_size,
                  "this folder is that of a broker with another number: see cluster.number");
}

/* A store that was used alone has names and messages of which the others know nothing. */
static bool may_found(const struct membership *membership, char *what, size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    if (!settings->is_founding)
        return refuse(what, what_size,
                      "this folder belongs to no cluster: if the cluster is new, start each of its brokers once "
                      "with --cluster-found; if this one has lost its folder, it may not come back with "
                      "an empty one, as it may have agreed to what the others rely on");
    if (!store_is_new(membership->store))
        return refuse(what, what_size,
                      "this folder has names or messages of a broker without a cluster: export the definitions, "
                      "found the cluster with an empty folder, and import them");
    return true;
}

static void call_others(struct membership *membership)
{
    const struct cluster_settings *settings = settings_of(membership);
    struct endpoint endpoint;
    char host[OPTIONS_ADDRESS_BYTES];
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct cluster_node *node = &settings->nodes[i];
        struct link_peer peer = {.number = node->number};
        if (node->number == settings->number || endpoint_read(node->at, PORT_CLUSTER, &endpoint))
            continue;
        snprintf(host, sizeof(host), "%s", endpoint.host);
        peer.host = host;
        peer.port = endpoint.port;
        node_id(membership->identity.cluster, node->number, peer.node);
        links_add(cluster_links(membership->cluster), &peer);
    }
}

static void tell_leader(struct membership *membership)
{
    uint32_t leader = membership_leader(membership);
    if (leader == membership->told)
        return;
    membership->told = leader;
    if (leader != settings_of(membership)->number)
        log_event(membership->options.log, EVENT_office_elsewhere, "leader=%u self=%u", leader,
                  settings_of(membership)->number);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct membership *membership = list_entry(service, struct membership, service);
    (void)now_ms, (void)clock_ms;
    /* What was not written when the machine went down is an older start of another one, and refuses less. */
    if (cluster_saw(membership->cluster))
        node_identity_write(membership->disk, &membership->identity);
    tell_leader(membership);
}

static void shut_down(struct service *service)
{
    (void)service;
}

static const struct service_ops ops = {.tick = tick, .shutdown = shut_down};

struct membership *membership_new(const struct membership_options *options, char *what,
                                  size_t what_size)
{
    struct membership *membership = mem_zalloc(sizeof(*membership));
    const struct binding binding = {
        .loop = options->loop, .log = options->log, .options = options->options};
    membership->options = *options;
    membership->told = NOBODY_TOLD;
    service_init(&membership->service, &ops);
    *what = '\0';
    if (load_tls(membership, what, what_size) &&
        bind_brokers(&binding, options->options->cluster.listen, membership->tls, &membership->links)) {
        loop_call_by(options->loop, membership->tls);
        return membership;
    }
    membership_free(membership);
    return NULL;
}

bool membership_open(struct membership *membership, struct disk *disk, struct store *store, char *what,
                     size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    bool is_founder = !group_log_find(store, GROUP);
    uint64_t seed, now_ms = clock_monotonic_ms();
    membership->disk = disk;
    membership->store = store;
    if ((is_founder && !may_found(membership, what, what_size)) ||
        !identify(membership, is_founder, what, what_size))
        return false;
    if (is_founder) {
        struct engine_members members = first_members(settings);
        group_found(store, GROUP, &members);
        log_event(membership->options.log, EVENT_cluster_founded, "members=%u self=%u",
                  settings->count, settings->number);
    }
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return refuse(what, what_size, "the system has no random numbers");
    const struct cluster_options options = {.store = store,
                                            .identity = &membership->identity,
                                            .links = {.name = membership->options.name,
                                                      .number = settings->number,
                                                      .log = membership->options.log,
                                                      .seed = seed + 1},
                                            .seed = seed};
    membership->cluster = cluster_new(&options, now_ms);
    call_others(membership);
    cluster_take_part(membership->cluster, GROUP, GENERATION, SEAT, now_ms);
    membership->lanes = lanes_new(membership->cluster, store, LANE_KEEP_BYTES);
    lanes_add(membership->lanes, GROUP, WAIT);
    group_log_take_names(group_log_find(store, GROUP));
    membership->links = links_service(cluster_links(membership->cluster));
    return true;
}

void membership_serve(struct membership *membership, struct server *server, struct broker *broker)
{
    broker->options.queue_group = GROUP;
    agreed_begin(server, membership->lanes);
    loop_add(membership->options.loop, membership->links);
    loop_add(membership->options.loop, &membership->service);
}

bool membership_leads(const struct membership *membership)
{
    return lanes_lead(membership->lanes);
}

uint32_t membership_leader(const struct membership *membership)
{
    const struct group *group = cluster_group(membership->cluster, GROUP);
    return group_engine(group) ? group_member_node(engine_leader(group_engine(group))) : 0;
}

size_t membership_members(const struct membership *membership, struct api_member *out)
{
    _Static_assert((int)API_MEMBERS_MAX == (int)OPTIONS_CLUSTER_MAX, "room for all");
    const struct cluster_settings *settings = settings_of(membership);
    uint32_t leader = membership_leader(membership);
    for (uint32_t i = 0; i < settings->count; i++) {
        uint32_t number = settings->nodes[i].number;
        bool is_self = number == settings->number;
        const struct link *link = links_numbered(cluster_links(membership->cluster), number);
        const char *name = is_self ? membership->options.name : link ? link_name(link) : "";
        out[i] = (struct api_member){
            .is_self = is_self, .is_up = is_self || (link && link_is_up(link)), .leads = number == leader};
        snprintf(out[i].name, sizeof(out[i].name), "%.255s", *name ? name : settings->nodes[i].at);
    }
    return settings->count;
}

void membership_has_read(struct membership *membership)
{
    group_log_drop_orphans(group_log_find(membership->store, GROUP));
}

void membership_close(struct membership *membership)
{
    if (membership && membership->lanes)
        lanes_close(membership->lanes, clock_monotonic_ms());
}

void membership_free(struct membership *membership)
{
    if (!membership)
        return;
    lanes_free(membership->lanes);
    cluster_free(membership->cluster);
    tls_context_free(membership->tls);
    mem_free(membership);
}
