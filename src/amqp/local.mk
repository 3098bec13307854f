# src/amqp: bytes to values and back, without state.

noinst_LIBRARIES += libleveret_amqp.a

libleveret_amqp_a_SOURCES = \
	%D%/frame.c \
	%D%/frame.h \
	%D%/method.c \
	%D%/method.h \
	%D%/methods.def \
	%D%/properties.c \
	%D%/properties.def \
	%D%/properties.h \
	%D%/reply.c \
	%D%/reply.def \
	%D%/reply.h \
	%D%/table.c \
	%D%/table.h \
	%D%/table_print.c \
	%D%/table_writer.c \
	%D%/text.c \
	%D%/text.h \
	%D%/text_fields.h \
	%D%/text_read.c \
	%D%/wire.c \
	%D%/wire.h

EXTRA_DIST += \
	%D%/README.md
