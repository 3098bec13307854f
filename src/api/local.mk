# src/api: the management API, for HTTP and the control socket.

noinst_LIBRARIES += libleveret_api.a

libleveret_api_a_SOURCES = \
	%D%/api.c \
	%D%/api.h \
	%D%/backup.c \
	%D%/bindings.c \
	%D%/call.c \
	%D%/call.h \
	%D%/channels.c \
	%D%/clients.c \
	%D%/clients.h \
	%D%/cluster.c \
	%D%/connections.c \
	%D%/consumers.c \
	%D%/control.c \
	%D%/cors.c \
	%D%/cors.h \
	%D%/definitions.c \
	%D%/exchanges.c \
	%D%/explain.c \
	%D%/facts.c \
	%D%/fields.c \
	%D%/fields.h \
	%D%/filter.c \
	%D%/filter.h \
	%D%/health.c \
	%D%/history.c \
	%D%/history.h \
	%D%/leader.c \
	%D%/leader.h \
	%D%/limits.c \
	%D%/listing.c \
	%D%/listing.h \
	%D%/look.c \
	%D%/machine.c \
	%D%/machine.h \
	%D%/messages.c \
	%D%/messages.h \
	%D%/move.c \
	%D%/node.c \
	%D%/order.c \
	%D%/order.h \
	%D%/overview.c \
	%D%/parameters.c \
	%D%/permissions.c \
	%D%/policies.c \
	%D%/queues.c \
	%D%/queues.h \
	%D%/rates.c \
	%D%/rates.h \
	%D%/resources.h \
	%D%/route.c \
	%D%/route.h \
	%D%/routes.def \
	%D%/settings.h \
	%D%/users.c \
	%D%/vhosts.c

EXTRA_DIST += \
	%D%/README.md
