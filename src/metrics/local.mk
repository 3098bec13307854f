# src/metrics: what Prometheus is told.

noinst_LIBRARIES += libleveret_metrics.a

libleveret_metrics_a_SOURCES = \
	%D%/metrics.c \
	%D%/metrics.def \
	%D%/metrics.h \
	%D%/rows.c \
	%D%/rows.h \
	%D%/sample.c \
	%D%/sample.h \
	%D%/scrape.c \
	%D%/scrape.h

EXTRA_DIST += \
	%D%/README.md
