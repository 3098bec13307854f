# The store under a disk that fails, and against a model. Campaigns are programs that "make check" builds
# and a test, or a person with more time, runs.

check_LIBRARIES += libleveret_fault.a
libleveret_fault_a_SOURCES = \
	%D%/campaign.c \
	%D%/campaign.h
libleveret_fault_a_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib

check_PROGRAMS += \
	%D%/store_campaign
%C%_store_campaign_LDADD = libleveret_fault.a $(LDADD)

# A store with a piece of work to do, and what must be left of it.
check_LIBRARIES += libleveret_rig.a
libleveret_rig_a_SOURCES = \
	%D%/rig.c \
	%D%/rig.h \
	%D%/rig_internal.h \
	%D%/rig_judge.c \
	%D%/rig_power.c \
	%D%/rig_work.c

# A store that is led step by step, over a disk that notes what is done to it.
check_LIBRARIES += libleveret_bench.a
libleveret_bench_a_SOURCES = \
	%D%/bench.c \
	%D%/bench.h

FAULT_TESTS = \
	%D%/test_backup.t \
	%D%/test_campaign.t \
	%D%/test_check.t \
	%D%/test_copy_cut.t \
	%D%/test_corners.t \
	%D%/test_crash_points.t \
	%D%/test_cut.t \
	%D%/test_disk_calls.t \
	%D%/test_entries.t \
	%D%/test_flip.t \
	%D%/test_full_disk.t \
	%D%/test_group_apply.t \
	%D%/test_group_log.t \
	%D%/test_identity.t \
	%D%/test_index.t \
	%D%/test_left_over.t \
	%D%/test_leveldb.t \
	%D%/test_mend.t \
	%D%/test_order.t \
	%D%/test_priority.t \
	%D%/test_replayed.t \
	%D%/test_salvage.t \
	%D%/test_syscalls.t

check_PROGRAMS += $(FAULT_TESTS)
TESTS += $(FAULT_TESTS)

%C%_test_backup_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_campaign_t_LDADD = libleveret_fault.a $(LDADD)
%C%_test_check_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_copy_cut_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_crash_points_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_cut_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_entries_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_group_apply_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_group_log_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_full_disk_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_flip_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_identity_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_index_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_leveldb_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_order_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_priority_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_replayed_t_LDADD = libleveret_bench.a $(LDADD)
%C%_test_salvage_t_LDADD = libleveret_rig.a $(LDADD)
%C%_test_syscalls_t_LDADD = libleveret_rig.a $(LDADD)

%C%_test_campaign_t_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/lib

# Libraries to be loaded in front of a program, without a sanitizer in them: one lets the system calls
# under LevelDB fail, the other writes down those for disk and sockets.
check_DATA = \
	%D%/observe.so \
	%D%/shim.so
EXTRA_DIST += \
	%D%/observe.c \
	%D%/shim.c
MOSTLYCLEANFILES = \
	%D%/observe.so \
	%D%/shim.so
PRELOADED = $(CC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC -shared
%D%/observe.so: %D%/observe.c
	@$(MKDIR_P) %D%
	$(AM_V_CCLD)$(PRELOADED) -o $@ $(top_srcdir)/%D%/observe.c -ldl -pthread
%D%/shim.so: %D%/shim.c
	@$(MKDIR_P) %D%
	$(AM_V_CCLD)$(PRELOADED) -o $@ $(top_srcdir)/%D%/shim.c -ldl -pthread
