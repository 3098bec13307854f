/* See membership.h. */
#include "membership.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "bind.h"
#include "broker/broker.h"
#include "cluster/lane.h"
#include "cluster/relay.h"
#include "image.h"
#include "members.h"
#include "net/clock.h"
#include "seats.h"
#include "session/agreed.h"
#include "store/store.h"

#define NOBODY_TOLD UINT32_MAX

enum { HTTP_PATIENCE_MS = 5000 };
enum { GROUP = 2, GENERATION = 1, WAIT = 1, HAND_OVER_MS = 2000, SAY_SO_MS = 100 };

/* What a broker with an empty folder has been told. */
struct joined {
    bool is_told;
    uint32_t seat;
    uint8_t cluster[NODE_ID_BYTES];
    uint64_t cluster_generation;
    struct ticket begun; /* its log */
    char why[LINK_TEXT_MAX + 1]; /* not yet, as the log has it */
};

struct membership {
    struct service service; /* has told who leads, and writes down whom the links have seen */
    struct cluster_guest guest;
    struct membership_options options;
    struct tls_options tls_options;
    struct tls_context *tls;
    struct membership_place place;
    struct node_identity identity;
    struct cluster *cluster;
    struct lanes *lanes;
    struct relays *relays[LINK_CLIENT_NODE]; /* clients that are brought to who leads, by what they want */
    struct way {
        uint32_t number;
        struct relays *relays;
    } ways[OPTIONS_CLUSTER_MAX]; /* requests that are brought to others, as soon as there was one */
    size_t way_count;
    struct seats *seats;
    struct worker *copier;
    struct images *images; /* NULL: it joins, and has nothing yet */
    struct joined joined;
    bool is_joining, is_over; /* over: it is to start again */
    bool is_refounding;       /* its log goes on without others, and is not durable yet */
    struct ticket refounded;
    struct service *links;    /* NULL: not there yet */
    uint64_t settled_ms;       /* when that was so; 0: not yet */
    uint64_t hands_over_by_ms; /* another one is to lead, when what is decided is agreed on, or by then; 0: not */
    uint32_t told;            /* who leads, as the log has it; NOBODY_TOLD at first */
};

static const struct cluster_settings *settings_of(const struct membership *membership)
{
    return &membership->options.options->cluster;
}

static bool refuse(char *what, size_t what_size, const char *why)
{
    snprintf(what, what_size, "%s", why);
    return false;
}

/* Those of HTTP are requests, each of which another one carries that counts its connections. */
static struct relays *new_relays(const struct membership *membership, enum link_client kind, uint64_t now_ms)
{
    static const uint32_t no_limit = 0;
    const struct membership_options *of = &membership->options;
    const struct server_options *server = &of->options->server;
    bool is_amqp = kind == LINK_CLIENT_AMQP;
    const struct relays_options options = {.kind = kind,
                                           .identity = &membership->identity,
                                           .log = of->log,
                                           .patience_ms = is_amqp ? server->handshake_ms : HTTP_PATIENCE_MS,
                                           .max = of->loop->sockets.max / 2, /* two sockets each */
                                           .clients_max = is_amqp ? &server->connections_max : &no_limit};
    return relays_new(&options, now_ms);
}

/* ---- a start ---- */

static bool load_tls(struct membership *membership, char *what, size_t what_size)
{
    membership->tls_options = tls_options_of_brokers(settings_of(membership)->cookie);
    membership->tls =
        tls_context_new(&membership->tls_options, membership->options.log, what, what_size);
    return membership->tls;
}

static bool refuse_identity(int error, char *what, size_t what_size)
{
    snprintf(what, what_size, "the file %s cannot be used: %s", NODE_FILE, strerror(error));
    return false;
}

static uint32_t own_seat(const struct membership *membership)
{
    uint32_t seat = membership->identity.seat_generation;
    return seat ? seat : SEAT_FIRST;
}

/* Is the store a copy, in which another one's log goes on? */
static bool is_copy(const struct membership *membership)
{
    const struct group_log *log = group_log_find(membership->place.store, GROUP);
    return log && group_log_last(log) > 0 && !node_id_is(membership->identity.cluster);
}

/* The cluster is another one than that of the copy: whoever is left of that is never to be one of this. Nothing of it
 * is on record before its log is durable (refound), so that a start that ends before that is made once more. */
static bool identify_refounder(struct membership *membership, char *what, size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    struct disk *disk = membership->place.disk;
    uint8_t cluster[NODE_ID_BYTES], id[NODE_ID_BYTES];
    uint64_t nonce;
    if (getrandom(cluster, sizeof(cluster), 0) != (ssize_t)sizeof(cluster) ||
        getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return refuse(what, what_size, "the system has no random numbers");
    seats_node_id(cluster, settings->number, SEAT_FIRST, id);
    int error = disk->ops->unlink(disk, NODE_FILE);
    if (!error || error == ENOENT)
        error = node_identity_start(disk, id, nonce, &membership->identity);
    memcpy(membership->identity.cluster, cluster, NODE_ID_BYTES);
    return !error || refuse_identity(error, what, what_size);
}

static bool begin_refounding(struct membership *membership, char *what, size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    const struct engine_members members = seats_first(settings);
    if (!settings->is_founding || settings->count != 1)
        return refuse(what, what_size,
                      "this folder was made from a copy of a broker of a cluster: with --cluster-found, and with no other "
                      "broker in cluster.nodes, a cluster begins anew with what it has, and others are added then, as "
                      "leveret-cluster(7) says; a broker of a cluster that is still there joins it with an empty folder");
    if (!identify_refounder(membership, what, what_size))
        return false;
    group_refound(membership->place.store, GROUP, &members);
    membership->refounded = store_ticket(membership->place.store);
    membership->is_refounding = true;
    store_want(membership->place.store, membership->refounded);
    log_event(membership->options.log, EVENT_cluster_refounded, "self=%u", settings->number);
    return true;
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
    seats_cluster_id(settings, cluster);
    seats_node_id(cluster, settings->number, SEAT_FIRST, id);
    int error = node_identity_start(membership->place.disk, id, nonce, identity);
    if (!error && is_founder) {
        memcpy(identity->cluster, cluster, NODE_ID_BYTES);
        error = node_identity_write(membership->place.disk, identity);
    }
    if (error)
        return refuse_identity(error, what, what_size);
    seats_node_id(identity->cluster, settings->number, own_seat(membership), id);
    return node_id_equal(id, identity->node) ||
           refuse(what, what_size,
                  "this folder is that of a broker with another number, which cluster.number is to be, or was made from a "
                  "copy, on which no broker of a cluster starts: leveret-cluster(7)");
}

/* Until it is told who it is, each start is somebody else's. */
static bool identify_stranger(struct membership *membership, char *what, size_t what_size)
{
    uint8_t id[NODE_ID_BYTES];
    uint64_t nonce;
    if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id) ||
        getrandom(&nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return refuse(what, what_size, "the system has no random numbers");
    int error = membership->place.disk->ops->unlink(membership->place.disk, NODE_FILE);
    if (!error || error == ENOENT)
        error = node_identity_start(membership->place.disk, id, nonce, &membership->identity);
    return !error || refuse_identity(error, what, what_size);
}

/* A store that was used alone has names and messages of which the others know nothing. */
static bool is_empty(const struct membership *membership, char *what, size_t what_size)
{
    return store_is_new(membership->place.store) ||
           refuse(what, what_size,
                  "this folder has names or messages of a broker without a cluster: export the definitions, "
                  "begin with an empty folder, and import them");
}

static bool may_found(const struct membership *membership, char *what, size_t what_size)
{
    if (!settings_of(membership)->is_founding)
        return refuse(what, what_size,
                      "this folder belongs to no cluster: if the cluster is new, start each of its brokers once "
                      "with --cluster-found; if it is there, and this broker is new in it, or has lost its "
                      "folder, start it with --cluster-join");
    return is_empty(membership, what, what_size);
}

/* Is it to join, or was it about to, and has not been told who it is? */
static int look_at_past(struct membership *membership, bool *is_joining)
{
    const struct group_log *log = group_log_find(membership->place.store, GROUP);
    int error = node_identity_read(membership->place.disk, &membership->identity);
    bool is_blank = !log || (group_log_last(log) == 0 && !node_id_is(membership->identity.cluster));
    *is_joining = is_blank && settings_of(membership)->is_joining;
    return error;
}

/* ---- turns ---- */

static void relay_to(const struct membership *membership, struct relays *relays, uint32_t number)
{
    const struct cluster_settings *settings = settings_of(membership);
    const struct cluster_node *node = cluster_node_find(settings, number);
    struct endpoint endpoint;
    bool is_there = node && number != settings->number && !endpoint_read(node->at, PORT_CLUSTER, &endpoint);
    relays_lead(relays, number, is_there ? endpoint.host : NULL, is_there ? endpoint.port : 0);
}

static void relay_to_leader(const struct membership *membership, uint32_t leader)
{
    for (size_t kind = 0; kind < LINK_CLIENT_NODE; kind++)
        relay_to(membership, membership->relays[kind], leader);
}

static struct members members_of(const struct membership *membership)
{
    return (struct members){settings_of(membership), membership->cluster, membership->place.store, GROUP,
                            membership->options.name};
}

/* Is all that was decided agreed on, so that whoever waits for that is told? */
static bool is_settled(const struct membership *membership)
{
    size_t at = 0;
    struct lane *lane;
    while ((lane = lanes_next(membership->lanes, &at)))
        if (lane_done(lane) < lane_decided(lane))
            return false;
    return true;
}

/* Who hands over proposes nothing more, and what it has not proposed is forgotten. Whoever asked for it is told before:
 * that waits for the same, and this broker has no word for anybody when it has lost its office. */
static void hand_over(struct membership *membership, uint64_t now_ms)
{
    const struct members members = members_of(membership);
    if (!membership->hands_over_by_ms)
        return;
    if (!membership->settled_ms && is_settled(membership))
        membership->settled_ms = now_ms;
    bool is_told = membership->settled_ms && now_ms >= membership->settled_ms + SAY_SO_MS;
    if (!is_told && now_ms < membership->hands_over_by_ms)
        return;
    membership->hands_over_by_ms = membership->settled_ms = 0;
    uint64_t best = members_best(&members);
    if (best)
        group_transfer(cluster_group(membership->cluster, GROUP), now_ms, best);
}

static void tell_leader(struct membership *membership)
{
    uint32_t leader = membership_leader(membership);
    if (leader == membership->told)
        return;
    membership->told = leader;
    relay_to_leader(membership, leader);
    if (leader != settings_of(membership)->number)
        log_event(membership->options.log, EVENT_office_elsewhere, "leader=%u self=%u", leader,
                  settings_of(membership)->number);
}

/* Its log has begun, durably, before it is a member, as whom it has agreed to nothing. */
static void join(struct membership *membership, uint64_t now_ms)
{
    struct joined *joined = &membership->joined;
    struct node_identity *identity = &membership->identity;
    if (!joined->is_told) {
        seats_ask(membership->seats, now_ms);
        return;
    }
    if (store_ticket_state(membership->place.store, joined->begun) != TICKET_DURABLE)
        return;
    memcpy(identity->cluster, joined->cluster, NODE_ID_BYTES);
    identity->cluster_generation = joined->cluster_generation;
    identity->seat_generation = joined->seat;
    seats_node_id(joined->cluster, settings_of(membership)->number, joined->seat, identity->node);
    int error = node_identity_write(membership->place.disk, identity);
    if (error)
        log_event(membership->options.log, EVENT_join_failed, "reason=\"the file %s: %s\"", NODE_FILE, strerror(error));
    else
        log_event(membership->options.log, EVENT_joined, "self=%u seat=%u", settings_of(membership)->number, joined->seat);
    membership->is_over = true;
}

static void told_seat(struct membership *membership, const struct link_joined *frame)
{
    struct joined *joined = &membership->joined;
    char why[sizeof(joined->why)];
    if (joined->is_told)
        return;
    if (frame->seat == 0) {
        snprintf(why, sizeof(why), "%.*s", BYTES_ARG(frame->why));
        if (strcmp(why, joined->why) != 0)
            log_event(membership->options.log, EVENT_join_failed, "reason=\"%s\"", why);
        snprintf(joined->why, sizeof(joined->why), "%s", why);
        return;
    }
    joined->is_told = true;
    joined->seat = frame->seat;
    joined->cluster_generation = frame->cluster_generation;
    memcpy(joined->cluster, frame->cluster, NODE_ID_BYTES);
    group_join(membership->place.store, GROUP);
    joined->begun = store_ticket(membership->place.store);
    store_want(membership->place.store, joined->begun);
}

/* Who leads hears of what was taken over only later, and offers it until then. */
static bool is_needed(const struct membership *membership, const struct link_image *frame)
{
    const struct group_image image = {.term = frame->term, .last = frame->last, .last_term = frame->last_term};
    return !group_has(cluster_group(membership->cluster, GROUP), &image);
}

static void take_frame(struct cluster_guest *guest, uint64_t now_ms, struct link *link, const union link_frame *frame)
{
    struct membership *membership = list_entry(guest, struct membership, guest);
    if (frame->type == LINK_JOINED && membership->is_joining)
        told_seat(membership, &frame->joined);
    else if (frame->type == LINK_JOIN && !membership->is_joining)
        seats_asked(membership->seats, now_ms, link, frame->join.number);
    else if (membership->images && (frame->type != LINK_IMAGE || is_needed(membership, &frame->image)))
        images_receive(membership->images, now_ms, link, frame);
}

/* Also before it is in office, which it may not come into without. */
static void offer_images(struct membership *membership, struct group *group, uint64_t now_ms)
{
    struct group_image image;
    bool leads = group_image(group, &image);
    const struct engine_members *members = engine_members(group_engine(group));
    for (uint32_t i = 0; leads && i < members->count; i++) {
        uint64_t id = members->of[i].id;
        struct link *link = links_numbered(cluster_links(membership->cluster), group_member_node(id));
        if (link && link_is_up(link) && group_lacks(group, id))
            images_offer(membership->images, now_ms, link, &image);
    }
    lanes_keep(membership->lanes, images_keep(membership->images));
}

/* What this broker has agreed to is what is looked at: nothing is heard or said behind that. */
static void look_at_image(struct membership *membership, const struct group *group, uint64_t now_ms)
{
    struct group_image image;
    if (!images_have(membership->images, &image))
        return;
    const char *why = group_may_replace(group, &image);
    if (!why) {
        lanes_stop(membership->lanes);
        membership->is_over = true;
        int error = images_take(membership->images);
        why = error ? strerror(error) : NULL;
    }
    if (why)
        images_refuse(membership->images, now_ms, why);
}

/* Until its log is durable nothing was told to anybody. */
static void refound(struct membership *membership)
{
    if (store_ticket_state(membership->place.store, membership->refounded) != TICKET_DURABLE)
        return;
    membership->is_refounding = node_identity_write(membership->place.disk, &membership->identity) != 0;
}

static void go_on(struct membership *membership, uint64_t now_ms)
{
    if (membership->is_refounding)
        refound(membership);
    struct group *group = cluster_group(membership->cluster, GROUP);
    seats_tick(membership->seats, now_ms);
    if (membership->is_joining) {
        join(membership, now_ms);
        return;
    }
    images_tick(membership->images, now_ms);
    if (!group_engine(group))
        return;
    offer_images(membership, group, now_ms);
    hand_over(membership, now_ms);
    look_at_image(membership, group, now_ms);
}

static void tick(struct service *service, uint64_t now_ms, uint64_t clock_ms)
{
    struct membership *membership = list_entry(service, struct membership, service);
    (void)clock_ms;
    if (!membership->is_over)
        go_on(membership, now_ms);
    /* What was not written when the machine went down is an older start of another one, and refuses less. */
    if (cluster_saw(membership->cluster))
        node_identity_write(membership->place.disk, &membership->identity);
    tell_leader(membership);
}

static void shut_down(struct service *service)
{
    (void)service;
}

static uint64_t next_ms(const struct service *service)
{
    const struct membership *membership = list_entry(service, struct membership, service);
    uint64_t next = membership->images ? images_next_ms(membership->images) : UINT64_MAX;
    uint64_t hands_over = membership->hands_over_by_ms ? membership->hands_over_by_ms : UINT64_MAX;
    if (hands_over != UINT64_MAX && membership->settled_ms)
        hands_over = membership->settled_ms + SAY_SO_MS;
    return next < hands_over ? next : hands_over;
}

static const struct service_ops ops = {.tick = tick, .next_ms = next_ms, .shutdown = shut_down};

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

static bool begin_log(struct membership *membership, char *what, size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    bool is_founder = !group_log_find(membership->place.store, GROUP);
    if ((is_founder && !may_found(membership, what, what_size)) ||
        !identify(membership, is_founder, what, what_size))
        return false;
    if (is_founder) {
        struct engine_members members = seats_first(settings);
        group_found(membership->place.store, GROUP, &members);
        log_event(membership->options.log, EVENT_cluster_founded, "members=%u self=%u",
                  settings->count, settings->number);
    }
    return true;
}

static bool begin_to_join(struct membership *membership, char *what, size_t what_size)
{
    bool has_log = group_log_find(membership->place.store, GROUP);
    membership->is_joining = true;
    if ((!has_log && !is_empty(membership, what, what_size)) || !identify_stranger(membership, what, what_size))
        return false;
    log_event(membership->options.log, EVENT_joins, "self=%u", settings_of(membership)->number);
    return true;
}

static void take_part(struct membership *membership, uint64_t seed, uint64_t now_ms)
{
    const struct images_options options = {.data_dir = membership->place.data_dir,
                                           .store = membership->place.store,
                                           .store_options = &membership->options.options->store,
                                           .links = cluster_links(membership->cluster),
                                           .log = membership->options.log,
                                           .seed = seed + 2,
                                           .worker = membership->copier,
                                           .wake = loop_wake,
                                           .context = membership->options.loop};
    cluster_take_part(membership->cluster, GROUP, GENERATION, (uint16_t)own_seat(membership), now_ms);
    lanes_add(membership->lanes, GROUP, WAIT);
    group_log_take_names(group_log_find(membership->place.store, GROUP));
    membership->images = images_new(&options);
}

bool membership_open(struct membership *membership, const struct membership_place *place, char *what, size_t what_size)
{
    const struct cluster_settings *settings = settings_of(membership);
    bool is_joining;
    uint64_t seed, now_ms = clock_monotonic_ms();
    membership->place = *place;
    int error = look_at_past(membership, &is_joining);
    if (error)
        return refuse_identity(error, what, what_size);
    if (!is_joining && !group_log_find(place->store, GROUP) && node_id_is(membership->identity.cluster))
        return refuse(what, what_size,
                      "this folder is that of a broker of a cluster, and its store is not there: if that is lost, start "
                      "with --cluster-join, as which it is told everything anew");
    if (!(is_joining ? begin_to_join : is_copy(membership) ? begin_refounding : begin_log)(membership, what, what_size))
        return false;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return refuse(what, what_size, "the system has no random numbers");
    membership->guest.take = take_frame;
    const struct cluster_options options = {.store = place->store,
                                            .identity = &membership->identity,
                                            .links = {.name = membership->options.name,
                                                      .number = settings->number,
                                                      .log = membership->options.log,
                                                      .admits = !is_joining,
                                                      .seed = seed + 1},
                                            .seed = seed,
                                            .guest = &membership->guest};
    const struct lane_keeps keeps = {.all = settings->log_bytes / 4, .most = settings->log_bytes};
    membership->cluster = cluster_new(&options, now_ms);
    const struct seats_options seats = {.settings = settings,
                                        .cluster = membership->cluster,
                                        .identity = &membership->identity,
                                        .group = GROUP,
                                        .log = membership->options.log};
    membership->seats = seats_new(&seats);
    membership->lanes = lanes_new(membership->cluster, place->store, &keeps);
    membership->links = links_service(cluster_links(membership->cluster));
    for (size_t kind = 0; kind < LINK_CLIENT_NODE; kind++)
        membership->relays[kind] = new_relays(membership, (enum link_client)kind, now_ms);
    membership->copier = worker_thread_new("image", loop_wake, membership->options.loop);
    if (!membership->copier)
        return refuse(what, what_size, "no thread can be started");
    if (!is_joining)
        take_part(membership, seed, now_ms);
    return true;
}

void membership_serve(struct membership *membership, struct server *server, struct broker *broker)
{
    broker->options.queue_group = GROUP;
    agreed_begin(server, membership->lanes);
    loop_add(membership->options.loop, membership->links);
    loop_add(membership->options.loop, &membership->service);
    for (size_t kind = 0; kind < LINK_CLIENT_NODE; kind++)
        loop_add(membership->options.loop, relays_service(membership->relays[kind]));
}

bool membership_leads(const struct membership *membership)
{
    return !membership->is_joining && lanes_lead(membership->lanes);
}

bool membership_is_over(const struct membership *membership)
{
    return membership->is_over;
}

uint32_t membership_leader(const struct membership *membership)
{
    const struct group *group = cluster_group(membership->cluster, GROUP);
    return group && group_engine(group) ? group_member_node(engine_leader(group_engine(group))) : 0;
}

size_t membership_members(const struct membership *membership, struct api_member *out)
{
    const struct members members = members_of(membership);
    return members_list(&members, out);
}

bool membership_group(const struct membership *membership, struct api_group *out)
{
    const struct members members = members_of(membership);
    if (!members_group(&members, out))
        return false;
    out->images_made = membership->images ? images_begun(membership->images) : 0;
    out->may_deliver = lanes_may_deliver(membership->lanes, clock_monotonic_ms());
    return true;
}

const char *membership_forget(struct membership *membership, uint32_t number)
{
    return membership_leads(membership) ? seats_forget(membership->seats, clock_monotonic_ms(), number)
                                        : "this broker does not lead";
}

bool membership_hand_over(struct membership *membership)
{
    const struct members members = members_of(membership);
    if (!members_best(&members))
        return false;
    membership->hands_over_by_ms = clock_monotonic_ms() + HAND_OVER_MS;
    return true;
}

struct service *membership_relay(struct membership *membership)
{
    return relays_service(membership->relays[LINK_CLIENT_AMQP]);
}

struct service *membership_relay_http(struct membership *membership)
{
    uint32_t leader = membership_leader(membership);
    bool is_other = leader && leader != settings_of(membership)->number;
    return is_other ? relays_service(membership->relays[LINK_CLIENT_HTTP]) : NULL;
}

/* Its address is that of the configuration, as for links. */
static struct relays *begin_way(struct membership *membership, uint32_t number)
{
    struct relays *relays = new_relays(membership, LINK_CLIENT_NODE, clock_monotonic_ms());
    membership->ways[membership->way_count++] = (struct way){number, relays};
    relay_to(membership, relays, number);
    loop_add(membership->options.loop, relays_service(relays));
    return relays;
}

struct service *membership_relay_to(struct membership *membership, uint32_t number)
{
    const struct cluster_settings *settings = settings_of(membership);
    for (size_t i = 0; i < membership->way_count; i++)
        if (membership->ways[i].number == number)
            return relays_service(membership->ways[i].relays);
    bool is_other = cluster_node_find(settings, number) && number != settings->number;
    return is_other ? relays_service(begin_way(membership, number)) : NULL;
}

void membership_answer(struct membership *membership, struct service *http)
{
    links_serve(cluster_links(membership->cluster), LINK_CLIENT_NODE, http);
}

void membership_send_away(struct membership *membership, bool all)
{
    relays_send_away(membership->relays[LINK_CLIENT_AMQP], all);
}

static void serve(struct membership *membership, enum link_client kind, struct service *clients)
{
    links_serve(cluster_links(membership->cluster), kind, clients);
    relays_serve_here(membership->relays[kind], clients);
}

void membership_has_read(struct membership *membership, struct service *amqp, struct service *http)
{
    group_log_drop_orphans(group_log_find(membership->place.store, GROUP));
    serve(membership, LINK_CLIENT_AMQP, amqp);
    serve(membership, LINK_CLIENT_HTTP, http);
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
    for (size_t kind = 0; kind < LINK_CLIENT_NODE; kind++)
        relays_free(membership->relays[kind]);
    for (size_t i = 0; i < membership->way_count; i++)
        relays_free(membership->ways[i].relays);
    images_free(membership->images);
    worker_thread_free(membership->copier);
    seats_free(membership->seats);
    lanes_free(membership->lanes);
    cluster_free(membership->cluster);
    tls_context_free(membership->tls);
    mem_free(membership);
}
