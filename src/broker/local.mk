# src/broker: what is brokered, as plain data.

noinst_LIBRARIES += libleveret_broker.a

libleveret_broker_a_SOURCES = \
	%D%/apply.c \
	%D%/apply.h \
	%D%/audit.c \
	%D%/audit.h \
	%D%/binding.c \
	%D%/binding.h \
	%D%/broker.c \
	%D%/broker.h \
	%D%/catalogue.c \
	%D%/catalogue.h \
	%D%/change.c \
	%D%/change.h \
	%D%/dead_letter.c \
	%D%/dead_letter.h \
	%D%/delay.c \
	%D%/delay.h \
	%D%/expiry.c \
	%D%/expiry.h \
	%D%/equivalence.c \
	%D%/equivalence.h \
	%D%/error.c \
	%D%/error.h \
	%D%/events.c \
	%D%/events.h \
	%D%/exchange.c \
	%D%/exchange.h \
	%D%/exchange_consistent_hash.c \
	%D%/exchange_deduplication.c \
	%D%/exchange_default.c \
	%D%/exchange_direct.c \
	%D%/exchange_fanout.c \
	%D%/exchange_headers.c \
	%D%/exchange_modulus_hash.c \
	%D%/exchange_random.c \
	%D%/exchange_recent_history.c \
	%D%/exchange_topic.c \
	%D%/firehose.c \
	%D%/firehose.h \
	%D%/log_message.c \
	%D%/log_message.h \
	%D%/login.c \
	%D%/login.h \
	%D%/move.c \
	%D%/move.h \
	%D%/name.c \
	%D%/name.h \
	%D%/overflow.c \
	%D%/overflow.h \
	%D%/parameter.c \
	%D%/parameter.h \
	%D%/password.c \
	%D%/password.h \
	%D%/pattern.c \
	%D%/pattern.h \
	%D%/permission.c \
	%D%/permission.h \
	%D%/policy.c \
	%D%/policy.h \
	%D%/policy_check.c \
	%D%/policy_check.h \
	%D%/policy_keys.def \
	%D%/publish.c \
	%D%/publish.h \
	%D%/queue_arguments.c \
	%D%/queue_arguments.h \
	%D%/queue_declare.c \
	%D%/queue_declare.h \
	%D%/reconfigure.c \
	%D%/reconfigure.h \
	%D%/redelivery.c \
	%D%/redelivery.h \
	%D%/removal.c \
	%D%/removal.h \
	%D%/restore.c \
	%D%/route.c \
	%D%/route.h \
	%D%/seen.c \
	%D%/seen.h \
	%D%/undo.c \
	%D%/undo.h \
	%D%/unplaced.c \
	%D%/unplaced.h \
	%D%/user.c \
	%D%/user.h \
	%D%/vhost.c \
	%D%/vhost.h \
	%D%/vhost_defaults.c \
	%D%/vhost_defaults.h \
	%D%/vhost_removal.c \
	%D%/vhost_removal.h

EXTRA_DIST += \
	%D%/README.md
