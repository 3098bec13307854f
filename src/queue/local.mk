# src/queue: one queue: its messages, its settings, its consumers.

noinst_LIBRARIES += libleveret_queue.a

libleveret_queue_a_SOURCES = \
	%D%/queue.c \
	%D%/queue.h \
	%D%/queue_classic.c \
	%D%/queue_consumer.c \
	%D%/queue_consumer.h \
	%D%/queue_index.h \
	%D%/queue_priority.c \
	%D%/queue_settings.c \
	%D%/queue_settings.def \
	%D%/queue_settings.h \
	%D%/queue_limit.c \
	%D%/queue_limit.h \
	%D%/queue_expiry.c \
	%D%/queue_expiry.h \
	%D%/queue_latency.c \
	%D%/queue_latency.h \
	%D%/queue_retry.c \
	%D%/queue_retry.h \
	%D%/queue_schedule.c \
	%D%/queue_schedule.h \
	%D%/queue_sums.c \
	%D%/queue_sums.h \
	%D%/queue_tally.h \
	%D%/queue_timer.c \
	%D%/queue_timer.h

EXTRA_DIST += \
	%D%/README.md
