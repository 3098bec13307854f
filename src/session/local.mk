# src/session: the conversation with a client.

noinst_LIBRARIES += libleveret_session.a

libleveret_session_a_SOURCES = \
	%D%/channel.h \
	%D%/connection.h \
	%D%/consumer.h \
	%D%/content.h \
	%D%/output.c \
	%D%/output.h \
	%D%/server.h \
	%D%/server_state.h \
	%D%/settle.h \
	%D%/unacked.c \
	%D%/unacked.h
