# One group of members that agree on a log, without brokers around it: simulations from a seed.

GROUP_SOURCES = \
	%D%/faults.c \
	%D%/group.c \
	%D%/group.h \
	%D%/judge.c \
	%D%/links.c \
	%D%/met.def \
	%D%/node.c \
	%D%/rights.c \
	%D%/scenes.c \
	%D%/simulate_group.c \
	%D%/state.c \
	tests/sim/campaign.c \
	tests/sim/campaign.h \
	tests/sim/events.c \
	tests/sim/events.h

%C%_simulate_group_SOURCES = $(GROUP_SOURCES)
%C%_simulate_group_LDADD = libleveret_cluster.a libleveret_base.a $(RAFT_LIBS)

# The same with bugs to be planted; see tests/planted.
%C%_simulate_group_planted_SOURCES = $(GROUP_SOURCES) tests/planted/planted.c
%C%_simulate_group_planted_CPPFLAGS = $(PLANTED_CPPFLAGS)
%C%_simulate_group_planted_LDADD = libleveret_cluster_planted.a libleveret_base.a $(RAFT_LIBS)

if HAVE_RAFT
check_LIBRARIES += libleveret_cluster_planted.a
check_PROGRAMS += %D%/simulate_group %D%/simulate_group_planted
endif

libleveret_cluster_planted_a_SOURCES = $(libleveret_cluster_a_SOURCES)
libleveret_cluster_planted_a_CPPFLAGS = $(PLANTED_CPPFLAGS) $(RAFT_CFLAGS)

dist_check_SCRIPTS += %D%/test_group.sh %D%/planted.sh
TESTS += %D%/test_group.sh

EXTRA_DIST += %D%/README.md
