# src/session: the conversation with a client.

noinst_LIBRARIES += libleveret_session.a

libleveret_session_a_SOURCES = \
	%D%/acknowledge.c \
	%D%/acknowledge.h \
	%D%/channel.c \
	%D%/channel.h \
	%D%/connection.c \
	%D%/connection.h \
	%D%/consumer.c \
	%D%/consumer.h \
	%D%/content.c \
	%D%/content.h \
	%D%/dispatch.c \
	%D%/dispatch.h \
	%D%/handle_channel.c \
	%D%/handle_confirm.c \
	%D%/handle_connection.c \
	%D%/handle_exchange.c \
	%D%/handle_queue.c \
	%D%/handlers.h \
	%D%/negotiate.h \
	%D%/outgoing.c \
	%D%/outgoing.h \
	%D%/output.c \
	%D%/output.h \
	%D%/sasl.c \
	%D%/sasl.h \
	%D%/server.h \
	%D%/server_state.h \
	%D%/settle.c \
	%D%/settle.h \
	%D%/transaction.h \
	%D%/unacked.c \
	%D%/unacked.h
