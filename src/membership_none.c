/* This build has no libraft, and so no clusters. */
#include "membership.h"

#include <stdio.h>

struct membership *membership_new(const struct membership_options *options, char *what,
                                  size_t what_size)
{
    (void)options;
    snprintf(what, what_size, "this build knows no clusters: it was made without libraft");
    return NULL;
}

bool membership_open(struct membership *membership, const struct membership_place *place, char *what, size_t what_size)
{
    (void)membership, (void)place, (void)what, (void)what_size;
    return false;
}

void membership_serve(struct membership *membership, struct server *server, struct broker *broker)
{
    (void)membership, (void)server, (void)broker;
}

bool membership_leads(const struct membership *membership)
{
    (void)membership;
    return false;
}

bool membership_is_over(const struct membership *membership)
{
    (void)membership;
    return false;
}

uint32_t membership_leader(const struct membership *membership)
{
    (void)membership;
    return 0;
}

size_t membership_members(const struct membership *membership, struct api_member *out)
{
    (void)membership, (void)out;
    return 0;
}

bool membership_group(const struct membership *membership, struct api_group *out)
{
    (void)membership, (void)out;
    return false;
}

const char *membership_forget(struct membership *membership, uint32_t number)
{
    (void)membership, (void)number;
    return NULL;
}

bool membership_hand_over(struct membership *membership)
{
    (void)membership;
    return false;
}

struct service *membership_relay(struct membership *membership)
{
    (void)membership;
    return NULL;
}

struct service *membership_relay_to(struct membership *membership, uint32_t number)
{
    (void)membership;
    (void)number;
    return NULL;
}

void membership_answer(struct membership *membership, struct service *http)
{
    (void)membership;
    (void)http;
}

void membership_send_away(struct membership *membership, bool all)
{
    (void)membership;
    (void)all;
}

struct service *membership_relay_http(struct membership *membership)
{
    (void)membership;
    return NULL;
}

void membership_has_read(struct membership *membership, struct service *amqp, struct service *http)
{
    (void)membership, (void)amqp, (void)http;
}

void membership_close(struct membership *membership)
{
    (void)membership;
}

void membership_free(struct membership *membership)
{
    (void)membership;
}
