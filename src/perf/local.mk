# leveretperf, the load generator: its main file, and beside it a library of the rest, which tests can use
# as well.

noinst_LIBRARIES += libleveret_perf.a

libleveret_perf_a_SOURCES = \
	%D%/actor.h \
	%D%/arguments.c \
	%D%/arguments.h \
	%D%/churn.c \
	%D%/churn.h \
	%D%/clock.h \
	%D%/confirms.c \
	%D%/confirms.h \
	%D%/consumer.c \
	%D%/consumer.h \
	%D%/histogram.c \
	%D%/histogram.h \
	%D%/ledger.c \
	%D%/ledger.h \
	%D%/link.c \
	%D%/link.h \
	%D%/load.c \
	%D%/load.h \
	%D%/many.c \
	%D%/many.h \
	%D%/names.c \
	%D%/names.h \
	%D%/options.c \
	%D%/options.h \
	%D%/producer.c \
	%D%/producer.h \
	%D%/progress.c \
	%D%/progress.h \
	%D%/report.c \
	%D%/report.h \
	%D%/request.c \
	%D%/request.h \
	%D%/schedule.c \
	%D%/schedule.h \
	%D%/stamp.h \
	%D%/tally.h \
	%D%/tls.c \
	%D%/tls.h \
	%D%/topology.c \
	%D%/topology.h \
	%D%/uri.c \
	%D%/uri.h \
	%D%/usage.c \
	%D%/usage.h \
	%D%/worker.c \
	%D%/worker.h

bin_PROGRAMS += leveretperf

leveretperf_SOURCES = %D%/leveretperf.c
leveretperf_LDADD = libleveret_perf.a libleveret_amqp.a libleveret_base.a $(TLS_LIBS)

EXTRA_DIST += %D%/README.md
