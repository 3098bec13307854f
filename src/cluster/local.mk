# src/cluster: brokers that agree. Without libraft there is none of it.

if HAVE_RAFT
noinst_LIBRARIES += libleveret_cluster.a
endif

libleveret_cluster_a_SOURCES = \
	%D%/cluster.c \
	%D%/cluster.h \
	%D%/engine.c \
	%D%/engine.h \
	%D%/engine_core.h \
	%D%/engine_raft.c \
	%D%/group.c \
	%D%/group.h \
	%D%/identity.c \
	%D%/identity.h \
	%D%/lane.c \
	%D%/lane.h \
	%D%/lease.c \
	%D%/lease.h \
	%D%/link.c \
	%D%/link.h \
	%D%/link_carry.c \
	%D%/link_client.c \
	%D%/link_client.h \
	%D%/link_connection.c \
	%D%/link_flight.c \
	%D%/link_flight.h \
	%D%/link_frame.c \
	%D%/link_frame.h \
	%D%/link_frames.def \
	%D%/link_hello.c \
	%D%/link_internal.h \
	%D%/link_wire.c \
	%D%/link_wire.h \
	%D%/relay.c \
	%D%/relay.h \
	%D%/resume.c \
	%D%/resume.h \
	%D%/resume_channel.c \
	%D%/resume_held.c \
	%D%/resume_internal.h \
	%D%/resume_names.c

libleveret_cluster_a_CPPFLAGS = $(AM_CPPFLAGS) $(RAFT_CFLAGS)

EXTRA_DIST += %D%/README.md
