! declare q1 x-max-length=5
! declare a
! declare b
! declare imp
! declare qq x-queue-type=quorum
! publish q1 3
$ rabbitmqctl add_user alice s3cret
$ rabbitmqctl set_user_tags alice monitoring management
$ rabbitmqctl set_permissions alice .* .* .*
$ rabbitmqctl set_topic_permissions alice amq.topic ^a .*
$ rabbitmqctl add_vhost v2 --tags a,b
$ rabbitmqctl set_vhost_limits -p v2 {"max-connections":10,"max-queues":5}
$ rabbitmqctl set_user_limits alice {"max-channels":10}
$ rabbitmqctl set_policy --priority 3 --apply-to queues ttl ^x {"message-ttl":600000}
! bind amq.topic q1 a.#
! consume a
$ rabbitmqctl list_queues
$ rabbitmqctl list_queues -q name messages consumers type
$ rabbitmqctl list_queues -s
$ rabbitmqctl list_queues --no-table-headers -q
$ rabbitmqctl list_queues --formatter json name messages arguments
$ rabbitmqctl list_queues --formatter csv name messages
$ rabbitmqctl list_queues --formatter pretty_table name messages
$ rabbitmqctl list_queues -p nope
$ rabbitmqctl list_queues -p v2
$ rabbitmqctl list_queues bogus
$ rabbitmqctl list_exchanges
$ rabbitmqctl list_bindings -q
$ rabbitmqctl list_connections
$ rabbitmqctl list_channels
$ rabbitmqctl list_consumers
$ rabbitmqctl list_users
$ rabbitmqctl list_users --formatter json
$ rabbitmqctl list_vhosts
$ rabbitmqctl list_vhosts name tracing tags
$ rabbitmqctl list_permissions
$ rabbitmqctl list_user_permissions alice
$ rabbitmqctl list_topic_permissions
$ rabbitmqctl list_policies
$ rabbitmqctl list_parameters -p v2
$ rabbitmqctl list_vhost_limits -p v2
$ rabbitmqctl list_vhost_limits --global
$ rabbitmqctl list_user_limits --user alice
$ rabbitmqctl list_global_parameters
$ rabbitmqctl list_feature_flags
$ rabbitmqctl list_operator_policies
$ rabbitmqctl status
$ rabbitmqctl status --formatter json
$ rabbitmqctl cluster_status
$ rabbitmqctl cluster_status --formatter json
$ rabbitmqctl report
$ rabbitmqctl environment
$ rabbitmqctl export_definitions -
