# One test program for each noun: test_<noun>.t is built from test_<noun>.c.

UNIT_TESTS = \
	%D%/test_store_disk.t \
	%D%/test_store_kv.t \
	%D%/test_store_worker.t

check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
