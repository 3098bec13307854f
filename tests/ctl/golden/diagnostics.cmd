! declare qq x-queue-type=quorum
! declare c1
$ rabbitmq-diagnostics ping
$ rabbitmq-diagnostics check_running
$ rabbitmq-diagnostics check_local_alarms
$ rabbitmq-diagnostics check_alarms
$ rabbitmq-diagnostics check_port_connectivity
$ rabbitmq-diagnostics check_virtual_hosts
$ rabbitmq-diagnostics is_booting
$ rabbitmq-diagnostics is_running
$ rabbitmq-diagnostics alarms
$ rabbitmq-diagnostics listeners
$ rabbitmq-diagnostics memory_breakdown
$ rabbitmq-diagnostics server_version
$ rabbitmq-diagnostics status_x
$ rabbitmq-diagnostics check_if_node_is_quorum_critical
$ rabbitmq-diagnostics log_location
$ rabbitmq-diagnostics certificates
$ rabbitmq-diagnostics cipher_suites
$ rabbitmq-diagnostics tls_versions
$ rabbitmq-diagnostics list_network_interfaces
$ rabbitmq-diagnostics resolver_info
$ rabbitmq-diagnostics runtime_thread_stats_x
$ rabbitmq-diagnostics observer_x
$ rabbitmq-diagnostics list_node_auth_attempt_stats
$ rabbitmq-diagnostics os_env
$ rabbitmq-diagnostics command_line_arguments
$ rabbitmq-diagnostics erlang_version
$ rabbitmq-diagnostics discover_peers
$ rabbitmq-diagnostics cluster_status_x
$ rabbitmq-diagnostics check_port_listener 1
$ rabbitmq-diagnostics check_port_listener PORT
$ rabbitmq-diagnostics -q check_protocol_listener amqp
$ rabbitmq-diagnostics -q ping
$ rabbitmq-diagnostics check_certificate_expiration --within 1 --unit weeks
$ rabbitmq-diagnostics message_size_stats
$ rabbitmq-diagnostics reset_node_auth_attempt_metrics
$ rabbitmq-diagnostics node_health_check
$ rabbitmq-queues quorum_status qq
$ rabbitmq-queues quorum_status c1
$ rabbitmq-queues quorum_status nosuch
$ rabbitmq-plugins list
$ rabbitmq-plugins list -e -m
$ rabbitmq-streams list_stream_connections
$ rabbitmqctl help
$ rabbitmq-diagnostics help
$ rabbitmq-queues help
$ rabbitmqctl help list_queues
$ rabbitmqctl --auto-complete rabbitmqctl list_q
$ rabbitmqctl autocomplete rabbitmqctl list_
