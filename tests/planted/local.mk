# Tests of the tests: libraries with the bugs of src/base/planted.def in them, of which one is chosen when
# a program starts, and the programs that must find it.

PLANTED_CPPFLAGS = $(AM_CPPFLAGS) -DLEVERET_PLANTED

# Every test, without planted bugs and without building what they are planted into, which is nearly as much
# again as the broker: for a second build, when in the first they are looked for.
check-unplanted:
	PLANTED=no $(MAKE) check \
	    check_PROGRAMS='$(filter-out %D%/% %_planted,$(check_PROGRAMS))' \
	    check_LIBRARIES='$(filter-out %_planted.a,$(check_LIBRARIES))'
.PHONY: check-unplanted

check_LIBRARIES += libleveret_session_planted.a
libleveret_session_planted_a_SOURCES = $(libleveret_session_a_SOURCES)
libleveret_session_planted_a_CPPFLAGS = $(PLANTED_CPPFLAGS)

check_LIBRARIES += libleveret_broker_planted.a
libleveret_broker_planted_a_SOURCES = $(libleveret_broker_a_SOURCES)
libleveret_broker_planted_a_CPPFLAGS = $(PLANTED_CPPFLAGS)

check_LIBRARIES += libleveret_queue_planted.a
libleveret_queue_planted_a_SOURCES = $(libleveret_queue_a_SOURCES)
libleveret_queue_planted_a_CPPFLAGS = $(PLANTED_CPPFLAGS)

check_LIBRARIES += libleveret_store_planted.a
libleveret_store_planted_a_SOURCES = $(libleveret_store_a_SOURCES) %D%/planted.c
libleveret_store_planted_a_CPPFLAGS = $(PLANTED_CPPFLAGS)

PLANTED_LDADD = \
	libleveret_tests.a \
	libleveret_main.a \
	libleveret_metrics.a \
	libleveret_net.a \
	libleveret_api.a \
	libleveret_session_planted.a \
	$(CLUSTER_PLANTED_LIBS) \
	libleveret_http.a \
	libleveret_peer.a \
	libleveret_definitions.a \
	libleveret_broker_planted.a \
	libleveret_queue_planted.a \
	libleveret_store_planted.a \
	libleveret_amqp.a \
	libleveret_config.a \
	libleveret_base.a \
	$(EV_LIBS) $(LEVELDB_LIBS) $(NETTLE_LIBS) $(PCRE2_LIBS) $(JANSSON_LIBS) $(ZLIB_LIBS) $(RAFT_LIBS)

dist_check_SCRIPTS += %D%/planted.sh
TESTS += %D%/planted.sh

check_PROGRAMS += \
	%D%/leveretd \
	%D%/runner \
	%D%/store_campaign \
	%D%/test_backup \
	%D%/test_broker_apply \
	%D%/test_broker_dead_letter \
	%D%/test_broker_exchange \
	%D%/test_disk_calls \
	%D%/test_entries \
	%D%/test_full_disk \
	%D%/test_group_apply \
	%D%/test_group_log \
	%D%/test_order \
	%D%/test_queue_expiry \
	%D%/test_short_disk \
	%D%/test_replayed \
	%D%/test_wait

%C%_leveretd_SOURCES = src/leveretd.c
%C%_leveretd_LDADD = $(PLANTED_LDADD)

%C%_runner_SOURCES = $(tests_script_runner_t_SOURCES)
%C%_runner_LDADD = $(PLANTED_LDADD)

%C%_store_campaign_SOURCES = tests/fault/store_campaign.c
%C%_store_campaign_LDADD = libleveret_fault.a $(PLANTED_LDADD)

%C%_test_backup_SOURCES = tests/fault/test_backup.c
%C%_test_backup_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_broker_apply_SOURCES = tests/unit/test_broker_apply.c
%C%_test_broker_apply_LDADD = libleveret_store_fake.a $(PLANTED_LDADD)

%C%_test_broker_dead_letter_SOURCES = tests/unit/test_broker_dead_letter.c
%C%_test_broker_dead_letter_LDADD = libleveret_store_fake.a $(PLANTED_LDADD)

%C%_test_broker_exchange_SOURCES = tests/unit/test_broker_exchange.c
%C%_test_broker_exchange_LDADD = libleveret_store_fake.a $(PLANTED_LDADD)

%C%_test_group_apply_SOURCES = tests/fault/test_group_apply.c
%C%_test_group_apply_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_group_log_SOURCES = tests/fault/test_group_log.c
%C%_test_group_log_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_disk_calls_SOURCES = tests/fault/test_disk_calls.c
%C%_test_disk_calls_LDADD = $(PLANTED_LDADD)

%C%_test_entries_SOURCES = tests/fault/test_entries.c
%C%_test_entries_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_full_disk_SOURCES = tests/fault/test_full_disk.c
%C%_test_full_disk_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_short_disk_SOURCES = tests/unit/test_short_disk.c tests/script/world.c
%C%_test_short_disk_LDADD = $(PLANTED_LDADD)

%C%_test_order_SOURCES = tests/fault/test_order.c
%C%_test_order_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_queue_expiry_SOURCES = tests/unit/test_queue_expiry.c
%C%_test_queue_expiry_LDADD = libleveret_store_fake.a $(PLANTED_LDADD)

%C%_test_replayed_SOURCES = tests/fault/test_replayed.c
%C%_test_replayed_LDADD = libleveret_bench.a $(PLANTED_LDADD)

%C%_test_wait_SOURCES = tests/unit/test_wait.c
%C%_test_wait_LDADD = $(PLANTED_LDADD)
