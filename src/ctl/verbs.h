/* The functions of verbs.def: each does what its verb says, and returns what the program ends with.
 */
#ifndef LEVERET_CTL_VERBS_H
#define LEVERET_CTL_VERBS_H

struct command;

typedef int verb_run(struct command *command);

/* usage.c, complete.c */
verb_run run_help, run_version, run_autocomplete, run_completion;
/* lists.c */
verb_run run_list, run_list_user_limits, run_list_vhost_limits, run_list_parameters;
/* users.c: users, and what they may do */
verb_run run_add_user, run_change_password, run_clear_password, run_set_user_tags,
    run_authenticate_user, run_hash_password, run_set_permissions, run_set_topic_permissions,
    run_set_permissions_globally;
/* vhosts.c: virtual hosts, and limits */
verb_run run_add_vhost, run_update_vhost, run_set_vhost_tags, run_restart_vhost, run_trace,
    run_limits_set, run_limits_clear;
/* objects.c: what else has a name, and what is one request */
verb_run run_do, run_rotate_logs, run_set_policy, run_set_parameter, run_set_cluster_name,
    run_delete_queue;
/* definitions.c, connections.c */
verb_run run_export, run_import, run_close_connection, run_close_connections;
/* nodes.c: the broker as a whole, and whether it is well */
verb_run run_ping, run_await, run_await_nodes, run_check_running, run_is_running, run_is_booting, run_alarms,
    run_check_alarms, run_listeners, run_check_port, run_check_protocol, run_check_connectivity,
    run_check_virtual_hosts, run_check_certificates, run_server_version, run_quorum_critical,
    run_nothing, run_refuse, run_check_mirror_sync, run_ping_quietly, run_stop, run_health_check;
/* control.c: what is set while it runs */
verb_run run_reload, run_set_log_level, run_set_memory_watermark, run_set_disk_limit, run_report;
/* cluster.c */
verb_run run_quorum_status, run_discover_peers, run_await_quorum, run_join_cluster, run_add_member,
    run_delete_member, run_grow, run_shrink, run_sync_queue;
/* logs.c */
verb_run run_log_location, run_log_tail, run_log_tail_stream;
/* backup.c */
verb_run run_backup;
/* offline.c: folders that no broker uses */
verb_run run_restore, run_store_check, run_store_dump, run_store_salvage;
/* status.c */
verb_run run_status, run_memory, run_cluster_status;
/* removals.c: what asks first */
verb_run run_purge_queue, run_delete_vhost, run_delete_user, run_reset;
/* top.c, tail.c: what is going on, and messages as they pass */
verb_run run_top, run_tail;
/* peek.c, move.c: messages */
verb_run run_peek, run_explain, run_move, run_requeue;
/* doctor.c */
verb_run run_doctor;
/* plugins.c: of RabbitMQ, as far as what they do is built in */
verb_run run_plugins, run_plugins_list;

#endif
