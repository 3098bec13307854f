! declare q1
! publish q1 20000
$ rabbitmqctl set_vm_memory_high_watermark 0.00001
% alarms
$ rabbitmq-diagnostics check_alarms
$ rabbitmq-diagnostics check_local_alarms
$ rabbitmq-diagnostics -q check_local_alarms
$ rabbitmq-diagnostics alarms
$ rabbitmq-diagnostics check_local_alarms --formatter json
$ rabbitmq-diagnostics alarms --formatter json
$ rabbitmqctl node_health_check
$ rabbitmqctl set_vm_memory_high_watermark 0.6
% no alarms
$ rabbitmqctl suspend_listeners
$ rabbitmq-diagnostics check_port_connectivity
$ rabbitmqctl resume_listeners
$ rabbitmq-diagnostics check_port_connectivity
