/* The functions of routes.def: what is asked for, by what it is about. */
#ifndef LEVERET_API_RESOURCES_H
#define LEVERET_API_RESOURCES_H

#include "api/listing.h"
#include "api/route.h"

/* bindings.c */
act bindings_list, queue_bindings_list, source_bindings_list, destination_bindings_list,
    between_bindings_list, binding_get, binding_post, binding_delete_it;
/* exchanges.c */
act exchanges_list, exchange_get, exchange_put, exchange_delete_it;
/* channels.c */
act channels_list, vhost_channels_list, connection_channels_list, channel_get;
/* connections.c */
act connections_list, vhost_connections_list, connection_get, connection_delete;
act user_connections_list, user_connections_delete;
/* consumers.c */
act consumers_list;
/* health.c */
act health_is_ok, health_is_critical, health_alarms, health_local_alarms, health_port_listener;
act health_protocol_listener, health_certificates, health_has_room;
act healthcheck_get, aliveness_get;
/* messages.c */
act exchange_publish, queue_get_messages, queue_act;
/* node.c */
act nodes_list, node_get, node_memory_get, node_memory_relative_get;
act attempts_get, attempts_by_source_get, attempts_delete;
act empty_list, vhost_empty_list, rebalance_queues, version_get;
/* backup.c */
act backup_post;
/* overview.c */
act overview_get, whoami_get;
/* queues.c */
act queues_list, queue_get, queue_put, queue_delete_it, queue_purge_it;

#endif
