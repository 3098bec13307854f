# src/http: HTTP/1.1 as a service, knowing nothing of what is asked for.

noinst_LIBRARIES += libleveret_http.a

libleveret_http_a_SOURCES = \
	%D%/client.c \
	%D%/client.h \
	%D%/gzip.c \
	%D%/gzip.h \
	%D%/head.c \
	%D%/head.h \
	%D%/http.h \
	%D%/multipart.c \
	%D%/multipart.h \
	%D%/reader.c \
	%D%/reader.h \
	%D%/reply.c \
	%D%/reply.h \
	%D%/request.c \
	%D%/request.h \
	%D%/response.c \
	%D%/response.h \
	%D%/server.c \
	%D%/server_state.h \
	%D%/text.h \
	%D%/websocket.c \
	%D%/websocket.h \
	%D%/websocket_frame.c \
	%D%/websocket_frame.h

EXTRA_DIST += \
	%D%/README.md
