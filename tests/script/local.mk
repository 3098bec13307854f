# The whole broker in memory, driven by scripts of send and expect lines: see runner.c for the language,
# and a script for each behaviour.

check_PROGRAMS += %D%/runner.t
TESTS += %D%/runner.t

%C%_runner_t_SOURCES = \
	%D%/runner.c \
	%D%/world.c \
	%D%/world.h

EXTRA_DIST += \
	%D%/access_request.amqp \
	%D%/ack_multiple.amqp \
	%D%/ack_unknown.amqp \
	%D%/batch_full.amqp \
	%D%/blocked_disk.amqp \
	%D%/blocked_large_body.amqp \
	%D%/blocked_memory.amqp \
	%D%/body_in_pieces.amqp \
	%D%/body_in_pieces_whole.amqp \
	%D%/body_large.amqp \
	%D%/body_longer_than_announced.amqp \
	%D%/body_sizes.amqp \
	%D%/cancel_notify.amqp \
	%D%/channel_close_waits.amqp \
	%D%/channel_closing.amqp \
	%D%/channel_flow.amqp \
	%D%/channel_max.amqp \
	%D%/channel_not_open.amqp \
	%D%/channel_open_twice.amqp \
	%D%/close_by_both.amqp \
	%D%/close_unanswered.amqp \
	%D%/confirm.amqp \
	%D%/confirm_fails.amqp \
	%D%/confirm_settled_before_sync.amqp \
	%D%/confirm_together.amqp \
	%D%/congested.amqp \
	%D%/connection_wrong_time.amqp \
	%D%/consume_directly.amqp \
	%D%/consume_exclusive.amqp \
	%D%/consume_prefetch.amqp \
	%D%/consume_prefetch_turns.amqp \
	%D%/consume_priority.amqp \
	%D%/consume_qos_size.amqp \
	%D%/consume_round_robin.amqp \
	%D%/consume_slow_socket.amqp \
	%D%/consume_tags.amqp \
	%D%/dead_letter.amqp \
	%D%/dead_letters_paced.amqp \
	%D%/durable_delete_waits.amqp \
	%D%/durable_reply_waits.amqp \
	%D%/durable_restart.amqp \
	%D%/error_waits.amqp \
	%D%/exchange_alternate.amqp \
	%D%/exchange_auto_delete.amqp \
	%D%/exchange_bindings_between.amqp \
	%D%/exchange_declare.amqp \
	%D%/exchange_delete.amqp \
	%D%/exchange_internal.amqp \
	%D%/exchange_kinds.amqp \
	%D%/exchange_unknown_type.amqp \
	%D%/frame_broken_end.amqp \
	%D%/frame_out_of_order.amqp \
	%D%/frame_too_large.amqp \
	%D%/frame_unknown_type.amqp \
	%D%/get.amqp \
	%D%/get_unread.amqp \
	%D%/get_waits_for_reader.amqp \
	%D%/handshake.amqp \
	%D%/handshake_in_pieces.amqp \
	%D%/handshake_slow.amqp \
	%D%/handshake_wrong_header.amqp \
	%D%/heartbeat.amqp \
	%D%/heartbeat_off.amqp \
	%D%/held_replies_bounded.amqp \
	%D%/login_amqplain.amqp \
	%D%/login_anonymous.amqp \
	%D%/login_guest_from_afar.amqp \
	%D%/login_refused.amqp \
	%D%/login_refused_quietly.amqp \
	%D%/login_unknown_mechanism.amqp \
	%D%/message_absurd.amqp \
	%D%/message_too_large.amqp \
	%D%/method_not_for_clients.amqp \
	%D%/method_unknown.amqp \
	%D%/open_unknown_vhost.amqp \
	%D%/output_bounded.amqp \
	%D%/publish_cc.amqp \
	%D%/publish_consume.amqp \
	%D%/publish_expiration.amqp \
	%D%/publish_immediate.amqp \
	%D%/publish_mandatory.amqp \
	%D%/publish_unknown_exchange.amqp \
	%D%/publish_user_id.amqp \
	%D%/queue_auto_delete.amqp \
	%D%/queue_declare.amqp \
	%D%/queue_delete.amqp \
	%D%/queue_exclusive.amqp \
	%D%/queue_last_declared.amqp \
	%D%/queue_purge.amqp \
	%D%/queue_unbind_missing.amqp \
	%D%/recover.amqp \
	%D%/reply_to.amqp \
	%D%/requeue_order.amqp \
	%D%/requeue_with_channel.amqp \
	%D%/shutdown.amqp \
	%D%/shutdown_while_waiting.amqp \
	%D%/tune_refused.amqp \
	%D%/tx.amqp \
	%D%/tx_acks.amqp \
	%D%/tx_bound.amqp \
	%D%/tx_exchange_gone.amqp
