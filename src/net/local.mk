# src/net: the only file descriptors.

noinst_LIBRARIES += libleveret_net.a

libleveret_net_a_SOURCES = \
	%D%/address.c \
	%D%/address.h \
	%D%/admission.c \
	%D%/admission.h \
	%D%/clock.c \
	%D%/clock.h \
	%D%/dial.c \
	%D%/dial.h \
	%D%/inherited.c \
	%D%/inherited.h \
	%D%/listener.c \
	%D%/listener.h \
	%D%/log_file.c \
	%D%/log_file.h \
	%D%/log_tail.c \
	%D%/log_tail.h \
	%D%/log_writer.c \
	%D%/log_writer.h \
	%D%/logs.c \
	%D%/logs.h \
	%D%/loop.c \
	%D%/loop.h \
	%D%/memory.c \
	%D%/memory.h \
	%D%/openssl.def \
	%D%/path.c \
	%D%/path.h \
	%D%/proxy.c \
	%D%/proxy.h \
	%D%/report.c \
	%D%/report.h \
	%D%/signals.c \
	%D%/signals.h \
	%D%/socket.c \
	%D%/socket.h \
	%D%/tls.c \
	%D%/tls.h \
	%D%/tls_library.h \
	%D%/tls_peer.c \
	%D%/tls_peer.h \
	%D%/transfer.c \
	%D%/transfer.h \
	%D%/turns.c \
	%D%/turns.h

EXTRA_DIST += \
	%D%/README.md
