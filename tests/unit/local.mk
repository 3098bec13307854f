# One test program for each noun: test_<noun>.t is built from test_<noun>.c.

UNIT_TESTS = \
	%D%/test_address.t \
	%D%/test_admission.t \
	%D%/test_amqp_frame.t \
	%D%/test_amqp_method.t \
	%D%/test_amqp_properties.t \
	%D%/test_amqp_reply.t \
	%D%/test_amqp_table.t \
	%D%/test_amqp_text.t \
	%D%/test_amqp_wire.t \
	%D%/test_api_fields.t \
	%D%/test_api_history.t \
	%D%/test_api_rates.t \
	%D%/test_base_buffer.t \
	%D%/test_base_bytes.t \
	%D%/test_base_checks.t \
	%D%/test_base_list.t \
	%D%/test_base_log.t \
	%D%/test_base_map.t \
	%D%/test_base_mem.t \
	%D%/test_base_options.t \
	%D%/test_base_slab.t \
	%D%/test_base_timer.t \
	%D%/test_broker_apply.t \
	%D%/test_broker_dead_letter.t \
	%D%/test_broker_declare.t \
	%D%/test_broker_delay.t \
	%D%/test_broker_move.t \
	%D%/test_broker_overflow.t \
	%D%/test_broker_policy.t \
	%D%/test_broker_quota.t \
	%D%/test_broker_reconfigure.t \
	%D%/test_broker_exchange.t \
	%D%/test_broker_restore.t \
	%D%/test_broker_route.t \
	%D%/test_broker_seen.t \
	%D%/test_broker_topic.t \
	%D%/test_broker_user.t \
	%D%/test_config.t \
	%D%/test_definitions.t \
	%D%/test_folder.t \
	%D%/test_guesses.t \
	%D%/test_http.t \
	%D%/test_http_reader.t \
	%D%/test_http_reply.t \
	%D%/test_http_request.t \
	%D%/test_image_folder.t \
	%D%/test_log_writer.t \
	%D%/test_logs.t \
	%D%/test_login.t \
	%D%/test_loop.t \
	%D%/test_options.t \
	%D%/test_path.t \
	%D%/test_peer_output.t \
	%D%/test_queue_expiry.t \
	%D%/test_queue_latency.t \
	%D%/test_queue_retry.t \
	%D%/test_queue_priority.t \
	%D%/test_queue_schedule.t \
	%D%/test_proxy.t \
	%D%/test_queue_settings.t \
	%D%/test_queue_sums.t \
	%D%/test_wait.t \
	%D%/test_websocket.t \
	%D%/test_session_sasl.t \
	%D%/test_session_unacked.t \
	%D%/test_service.t \
	%D%/test_store_batch.t \
	%D%/test_store_chunk.t \
	%D%/test_store_disk.t \
	%D%/test_short_disk.t \
	%D%/test_store_kv.t \
	%D%/test_worker.t \
	%D%/test_turn.t \
	%D%/test_turns.t

# Of what is built with libraft alone.
CLUSTER_TESTS = \
	%D%/test_cluster_identity.t \
	%D%/test_lease.t \
	%D%/test_link.t \
	%D%/test_link_flight.t \
	%D%/test_link_frame.t \
	%D%/test_link_socket.t \
	%D%/test_link_wire.t \
	%D%/test_relay.t \
	%D%/test_resume.t

if HAVE_RAFT
check_PROGRAMS += $(CLUSTER_TESTS)
TESTS += $(CLUSTER_TESTS)
endif

CLUSTER_LDADD = libleveret_tests.a libleveret_cluster.a libleveret_base.a
%C%_test_cluster_identity_t_LDADD = $(CLUSTER_LDADD)
%C%_test_lease_t_LDADD = $(CLUSTER_LDADD)
%C%_test_link_t_SOURCES = %D%/test_link.c tests/sim/link/bench.c tests/sim/link/bench.h
%C%_test_link_t_LDADD = $(CLUSTER_LDADD)
%C%_test_link_flight_t_LDADD = $(CLUSTER_LDADD)
%C%_test_link_frame_t_LDADD = $(CLUSTER_LDADD)
%C%_test_link_socket_t_SOURCES = %D%/test_link_socket.c tests/script/world.c
%C%_test_link_socket_t_LDADD = libleveret_tests.a libleveret_cluster.a $(LEVERET_LIBS)
%C%_test_link_wire_t_LDADD = $(CLUSTER_LDADD)
%C%_test_relay_t_LDADD = libleveret_tests.a libleveret_cluster.a libleveret_peer.a libleveret_store.a libleveret_amqp.a libleveret_base.a
%C%_test_resume_t_LDADD = libleveret_tests.a libleveret_cluster.a libleveret_amqp.a libleveret_base.a

check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)

%C%_test_broker_apply_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_dead_letter_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_declare_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_definitions_t_LDADD = libleveret_store_fake.a $(LDADD)
%C%_test_broker_delay_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_move_t_LDADD = libleveret_store_fake.a $(LDADD)
%C%_test_broker_overflow_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_policy_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_quota_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_reconfigure_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_exchange_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_restore_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_route_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_seen_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_broker_topic_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_queue_expiry_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_queue_latency_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_queue_retry_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_queue_priority_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_queue_schedule_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_queue_sums_t_LDADD = libleveret_store_fake.a $(LDADD)

%C%_test_loop_t_SOURCES = %D%/test_loop.c tests/script/world.c

%C%_test_api_rates_t_SOURCES = %D%/test_api_rates.c tests/script/world.c

%C%_test_login_t_SOURCES = %D%/test_login.c tests/script/world.c

%C%_test_service_t_SOURCES = %D%/test_service.c tests/script/world.c

%C%_test_short_disk_t_SOURCES = %D%/test_short_disk.c tests/script/world.c

%C%_test_turn_t_SOURCES = %D%/test_turn.c tests/script/world.c
