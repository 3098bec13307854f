# Tests are TAP programs: C programs end in .t, shell scripts in .sh, and the build's own tap-driver.sh
# counts what they say. They run in the build folder, and write nothing outside it or a temporary one.

TEST_EXTENSIONS = .t .sh .py
T_LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
SH_LOG_DRIVER = $(T_LOG_DRIVER)
PY_LOG_DRIVER = $(T_LOG_DRIVER)

AM_TESTS_ENVIRONMENT = \
	top_builddir='$(abs_top_builddir)'; export top_builddir; \
	srcdir='$(abs_top_srcdir)'; export srcdir; \
	CC='$(CC)'; export CC; \
	CFLAGS_OF_TREE='$(AM_CFLAGS) $(CFLAGS)'; export CFLAGS_OF_TREE; \
	UBSAN_OPTIONS=print_stacktrace=1; export UBSAN_OPTIONS;

# What test programs share.
check_LIBRARIES += libleveret_tests.a
libleveret_tests_a_SOURCES = \
	%D%/lib/amqp_more.h \
	%D%/lib/disk_memory.c \
	%D%/lib/disk_memory.h \
	%D%/lib/disk_observed.c \
	%D%/lib/disk_observed.h \
	%D%/lib/carried.c \
	%D%/lib/carried.h \
	%D%/lib/http_bench.c \
	%D%/lib/http_bench.h \
	%D%/lib/kv_memory.c \
	%D%/lib/kv_memory.h \
	%D%/lib/loop_child.c \
	%D%/lib/loop_child.h \
	%D%/lib/match.c \
	%D%/lib/match.h \
	%D%/lib/slow_worker.c \
	%D%/lib/slow_worker.h \
	%D%/lib/store_audit.c \
	%D%/lib/store_audit.h \
	%D%/lib/tap.c \
	%D%/lib/spans.h \
	%D%/lib/tap.h

# A store in memory that stands in for the real one, and what is built on it: for the programs that name
# this library in front of LDADD.
check_LIBRARIES += libleveret_store_fake.a
libleveret_store_fake_a_SOURCES = \
	%D%/lib/broker_bench.c \
	%D%/lib/broker_bench.h \
	%D%/lib/store_fake.c \
	%D%/lib/store_fake.h

# A disk that loses what was not synced when the process is killed: for a daemon that names this library
# in front of the store's, which it takes the place of there.
check_LIBRARIES += libleveret_volatile.a
libleveret_volatile_a_SOURCES = %D%/lib/disk_volatile.c

# What test scripts share.
EXTRA_DIST += %D%/lib/tap.sh

# The tree itself is tested, too.
dist_check_SCRIPTS += \
	%D%/globals.sh \
	%D%/install.sh \
	%D%/layers.sh \
	%D%/listed.sh \
	%D%/limits.sh \
	%D%/man.sh \
	%D%/metrics.sh \
	%D%/shell.sh
TESTS += \
	%D%/globals.sh \
	%D%/install.sh \
	%D%/layers.sh \
	%D%/listed.sh \
	%D%/limits.sh \
	%D%/man.sh \
	%D%/metrics.sh \
	%D%/shell.sh
