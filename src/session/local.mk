# src/session: the conversation with a client.

noinst_LIBRARIES += libleveret_session.a

libleveret_session_a_SOURCES = \
	%D%/server.h
