/* The functions of routes.def: what is asked for, by what it is about. */
#ifndef LEVERET_API_RESOURCES_H
#define LEVERET_API_RESOURCES_H

#include "api/listing.h"
#include "api/route.h"

/* bindings.c */
act bindings_list, queue_bindings_list, source_bindings_list, destination_bindings_list,
    between_bindings_list, binding_get, binding_post, binding_delete_it;
/* definitions.c */
act definitions_get, definitions_post;
/* exchanges.c */
act exchanges_list, exchange_get, exchange_put, exchange_delete_it;
/* channels.c */
act channels_list, vhost_channels_list, connection_channels_list, channel_get;
/* connections.c */
act connections_list, vhost_connections_list, connection_get, connection_delete;
act user_connections_list, user_connections_delete;
/* consumers.c */
act consumers_list;
/* explain.c */
act queue_explain;
/* facts.c */
act facts_get;
/* health.c */
act health_is_ok, health_is_in_service, health_is_critical, health_alarms, health_local_alarms, health_port_listener;
act health_protocol_listener, health_certificates, health_revoked, health_has_room;
act health_is_ready;
act healthcheck_get, aliveness_get;
/* look.c */
act queue_messages_list, queue_message_delete;
/* messages.c */
act exchange_publish, queue_get_messages, queue_act;
/* move.c */
act queue_move, queue_requeue;
/* node.c */
act nodes_list, node_get, node_forget, node_memory_get, node_memory_relative_get;
act attempts_get, attempts_by_source_get, attempts_delete, log_rotate;
act empty_list, vhost_empty_list, rebalance_queues, statistics_reset, version_get;
/* backup.c */
act backup_get, backup_post, backup_delete;
/* control.c */
act configuration_list, configuration_get, configuration_put, configuration_reload, log_level_put,
    listeners_suspend_post, listeners_resume_post, maintenance_drain, maintenance_revive, maintenance_reset,
    maintenance_stop, maintenance_start, node_connections_delete;
/* overview.c */
act overview_get, whoami_get;
/* cluster.c */
act extensions_get, feature_flags_get, feature_flag_enable, hash_password_get;
/* limits.c */
act vhost_limits_list, vhost_limit_put, vhost_limit_delete_it, user_limits_list, user_limit_put,
    user_limit_delete_it;
/* parameters.c */
act parameters_list, parameter_get, parameter_put, parameter_delete_it;
act global_parameters_list, global_parameter_get, global_parameter_put, global_parameter_delete_it;
act cluster_name_get, cluster_name_put;
/* policies.c */
act policies_list, policy_get, policy_put, policy_delete_it, operator_policies_list,
    operator_policy_get, operator_policy_put, operator_policy_delete_it;
/* permissions.c */
act permissions_list, vhost_permissions_list, user_permissions_list, permission_get, permission_put,
    permission_delete_it;
act topic_permissions_list, vhost_topic_permissions_list, user_topic_permissions_list,
    topic_permission_get, topic_permission_put, topic_permission_delete_it;
/* queues.c */
act queues_list, queue_get, queue_put, queue_delete_it, queue_purge_it;
/* users.c */
act users_list, users_without_permissions_list, users_bulk_delete, user_get, user_put_it,
    user_delete_it;
/* vhosts.c */
act vhosts_list, vhost_get, vhost_put_it, vhost_delete_it, vhost_protect, vhost_unprotect, vhost_start;

#endif
