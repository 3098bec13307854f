# leveretctl, the operator's command: its main file, and beside it a library of the rest, which tests
# can use as well.

noinst_LIBRARIES += libleveret_ctl.a

libleveret_ctl_a_SOURCES = \
	%D%/admin.c \
	%D%/admin.def \
	%D%/admin.h \
	%D%/admin_format.c \
	%D%/admin_help.c \
	%D%/admin_options.c \
	%D%/admin_request.c \
	%D%/admin_request.h \
	%D%/admin_options.def \
	%D%/backup.c \
	%D%/client.c \
	%D%/client.h \
	%D%/cluster.c \
	%D%/command.c \
	%D%/command.h \
	%D%/complete.c \
	%D%/complete.h \
	%D%/connections.c \
	%D%/control.c \
	%D%/definitions.c \
	%D%/doctor.c \
	%D%/doctor.h \
	%D%/doctor_queues.c \
	%D%/exit.h \
	%D%/findings.def \
	%D%/format.c \
	%D%/format.h \
	%D%/hold.c \
	%D%/hold.h \
	%D%/lists.c \
	%D%/logs.c \
	%D%/move.c \
	%D%/nodes.c \
	%D%/nodes.h \
	%D%/objects.c \
	%D%/offline.c \
	%D%/openssl.def \
	%D%/options.def \
	%D%/peek.c \
	%D%/plugins.c \
	%D%/removals.c \
	%D%/request.c \
	%D%/request.h \
	%D%/rows.c \
	%D%/rows.h \
	%D%/say.c \
	%D%/say.h \
	%D%/secure.c \
	%D%/secure.h \
	%D%/status.c \
	%D%/tail.c \
	%D%/target.c \
	%D%/target.h \
	%D%/term.c \
	%D%/term.h \
	%D%/top.c \
	%D%/usage.c \
	%D%/usage.h \
	%D%/users.c \
	%D%/verb.c \
	%D%/verb.h \
	%D%/verbs.def \
	%D%/verbs.h \
	%D%/vhosts.c

sbin_PROGRAMS += leveretctl

leveretctl_SOURCES = %D%/leveretctl.c
leveretctl_LDADD = libleveret_ctl.a libleveret_definitions.a libleveret_base.a $(JANSSON_LIBS)

EXTRA_DIST += %D%/README.md
