# The load generator: programs for its parts; and tests/perf/run, which runs it in all modes against a
# broker and is called by scripts/check.

EXTRA_DIST += %D%/run

PERF_TESTS = \
	%D%/test_counting.t \
	%D%/test_reading.t

check_PROGRAMS += $(PERF_TESTS)
TESTS += $(PERF_TESTS)

PERF_TEST_LIBS = \
	libleveret_tests.a \
	libleveret_perf.a \
	libleveret_amqp.a \
	libleveret_base.a \
	$(TLS_LIBS)

%C%_test_counting_t_LDADD = $(PERF_TEST_LIBS)

%C%_test_reading_t_LDADD = $(PERF_TEST_LIBS)
