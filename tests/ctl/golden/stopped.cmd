$ rabbitmqctl stop_app
$ rabbitmq-diagnostics check_running
$ rabbitmq-diagnostics -q ping
$ rabbitmqctl list_queues
$ rabbitmqctl status
$ rabbitmq-diagnostics is_running
$ rabbitmq-diagnostics check_running --formatter json
$ rabbitmqctl start_app
$ rabbitmqctl await_startup
