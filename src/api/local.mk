# src/api: the management API, for HTTP and the control socket.

noinst_LIBRARIES += libleveret_api.a

libleveret_api_a_SOURCES = \
	%D%/api.c \
	%D%/api.h \
	%D%/bindings.c \
	%D%/call.c \
	%D%/call.h \
	%D%/exchanges.c \
	%D%/fields.c \
	%D%/fields.h \
	%D%/listing.c \
	%D%/listing.h \
	%D%/order.c \
	%D%/order.h \
	%D%/overview.c \
	%D%/queues.c \
	%D%/resources.h \
	%D%/route.c \
	%D%/route.h \
	%D%/routes.def

EXTRA_DIST += \
	%D%/README.md
