# src/base: what any program needs, with no AMQP in it.

noinst_LIBRARIES += libleveret_base.a

libleveret_base_a_SOURCES = \
	%D%/base64.c \
	%D%/base64.h \
	%D%/buffer.c \
	%D%/buffer.h \
	%D%/budget.h \
	%D%/bytes.h \
	%D%/crc32c.c \
	%D%/crc32c.h \
	%D%/digest.c \
	%D%/digest.h \
	%D%/hash.c \
	%D%/hash.h \
	%D%/library.c \
	%D%/library.h \
	%D%/list.h \
	%D%/log.c \
	%D%/log.def \
	%D%/log.h \
	%D%/log_line.c \
	%D%/log_line.h \
	%D%/map.c \
	%D%/map.h \
	%D%/mem.c \
	%D%/mem.h \
	%D%/near.c \
	%D%/near.h \
	%D%/options.c \
	%D%/options.h \
	%D%/planted.def \
	%D%/planted.h \
	%D%/random.c \
	%D%/random.h \
	%D%/scrypt.c \
	%D%/scrypt.h \
	%D%/shared.h \
	%D%/slab.c \
	%D%/slab.h \
	%D%/steps.h \
	%D%/timer.c \
	%D%/timer.h \
	%D%/utf8.c \
	%D%/utf8.h \
	%D%/worker.c \
	%D%/worker.h

EXTRA_DIST += \
	%D%/README.md
