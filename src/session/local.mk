# src/session: the conversation with a client.

noinst_LIBRARIES += libleveret_session.a

EXTRA_DIST += %D%/README.md

libleveret_session_a_SOURCES = \
	%D%/acknowledge.c \
	%D%/acknowledge.h \
	%D%/announce.c \
	%D%/announce.h \
	%D%/agreed.h \
	%D%/alarm.c \
	%D%/alarm.h \
	%D%/channel.c \
	%D%/channel.h \
	%D%/connection.c \
	%D%/connection.h \
	%D%/connection_input.c \
	%D%/connection_input.h \
	%D%/connection_timer.c \
	%D%/connection_timer.h \
	%D%/consumer.c \
	%D%/consumer.h \
	%D%/content.c \
	%D%/content.h \
	%D%/delivery_timeout.c \
	%D%/delivery_timeout.h \
	%D%/dispatch.c \
	%D%/dispatch.h \
	%D%/ending.c \
	%D%/ending.h \
	%D%/guesses.c \
	%D%/guesses.h \
	%D%/handle_basic.c \
	%D%/handle_channel.c \
	%D%/handle_confirm.c \
	%D%/handle_connection.c \
	%D%/handle_exchange.c \
	%D%/handle_queue.c \
	%D%/handle_tx.c \
	%D%/handlers.h \
	%D%/negotiate.h \
	%D%/look.c \
	%D%/look.h \
	%D%/outgoing.c \
	%D%/outgoing.h \
	%D%/publishing.c \
	%D%/publishing.h \
	%D%/quick.c \
	%D%/quick.h \
	%D%/quota.c \
	%D%/quota.h \
	%D%/relayed.c \
	%D%/relayed.h \
	%D%/reply_to.c \
	%D%/reply_to.h \
	%D%/sasl.c \
	%D%/sasl.h \
	%D%/server.c \
	%D%/server.h \
	%D%/server_state.h \
	%D%/wait.c \
	%D%/wait.h \
	%D%/tap.c \
	%D%/tap.h \
	%D%/trace.c \
	%D%/trace.h \
	%D%/transaction.c \
	%D%/transaction.h \
	%D%/unacked.c \
	%D%/unacked.h

if HAVE_RAFT
libleveret_session_a_SOURCES += %D%/agreed.c
endif
