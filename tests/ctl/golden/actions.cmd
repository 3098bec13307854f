! declare new1
! declare imp
$ rabbitmqctl add_user alice s3cret
$ rabbitmqctl add_user alice x
$ rabbitmqctl add_user
$ rabbitmqctl delete_user nosuch
$ rabbitmqctl authenticate_user alice s3cret
$ rabbitmqctl authenticate_user alice bad
$ rabbitmqctl change_password alice n
$ rabbitmqctl set_permissions nosuch a b c
$ rabbitmqctl set_permissions -p nope alice a b c
$ rabbitmqctl set_permissions alice ( b c
$ rabbitmqctl bogus_cmd
$ rabbitmqctl list_queue
$ rabbitmqctl list_queues --bogus
$ rabbitmqctl set_policy p ( {"max-length":1}
$ rabbitmqctl set_policy p a {bad
$ rabbitmqctl set_policy p a {"zz":1}
$ rabbitmqctl clear_policy nosuch
$ rabbitmqctl add_vhost v2
$ rabbitmqctl delete_vhost nosuch
$ rabbitmqctl restart_vhost
$ rabbitmqctl restart_vhost -p nosuch
$ rabbitmqctl purge_queue new1
$ rabbitmqctl purge_queue nosuch
$ rabbitmqctl delete_queue nosuch
$ rabbitmqctl delete_queue imp
$ rabbitmqctl -n nosuch@localhost status
$ rabbitmqctl hash_password abc
$ rabbitmqctl version
$ rabbitmqctl set_log_level debug
$ rabbitmqctl set_log_level bogus
$ rabbitmqctl trace_on
$ rabbitmqctl trace_off
$ rabbitmqctl set_vm_memory_high_watermark 0.5
$ rabbitmqctl set_vm_memory_high_watermark absolute 1GB
$ rabbitmqctl set_vm_memory_high_watermark absolute
$ rabbitmqctl set_vm_memory_high_watermark abc
$ rabbitmqctl set_vm_memory_high_watermark 1.5
$ rabbitmqctl set_vm_memory_high_watermark absolute xyz
$ rabbitmqctl set_disk_free_limit 50MB
$ rabbitmqctl set_disk_free_limit xyz
$ rabbitmqctl set_disk_free_limit mem_relative 0.1
$ rabbitmqctl set_disk_free_limit mem_relative x
$ rabbitmqctl set_disk_free_limit mem_relative
$ rabbitmqctl close_connection bogus why
$ rabbitmqctl eval 1+1.
$ rabbitmqctl export_definitions FOLDER/d.json
$ rabbitmqctl import_definitions FOLDER/d.json
$ rabbitmqctl ping
$ rabbitmqctl await_startup
$ rabbitmqctl set_cluster_name foo
$ rabbitmqctl rotate_logs
$ rabbitmqctl force_boot
$ rabbitmqctl sync_queue new1
$ rabbitmqctl list_hashes
