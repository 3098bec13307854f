# Members of groups with their stores and links, without brokers around them: simulations from a seed.

MEMBERS_SOURCES = \
	%D%/drive.c \
	%D%/drive.h \
	%D%/faults.c \
	%D%/image.c \
	%D%/members.h \
	%D%/met.def \
	%D%/node.c \
	%D%/rights.c \
	%D%/simulate_members.c \
	%D%/story.c \
	%D%/truth.c \
	%D%/work.c \
	tests/sim/campaign.c \
	tests/sim/campaign.h \
	tests/sim/link/bench.c \
	tests/sim/link/bench.h \
	tests/sim/link/weather.c \
	tests/sim/link/weather.h

%C%_simulate_members_SOURCES = $(MEMBERS_SOURCES)
%C%_simulate_members_LDADD = libleveret_cluster.a libleveret_tests.a libleveret_store.a libleveret_base.a \
	$(RAFT_LIBS)

# The same with bugs to be planted; see tests/planted.
%C%_simulate_members_planted_SOURCES = $(MEMBERS_SOURCES) tests/planted/planted.c
%C%_simulate_members_planted_CPPFLAGS = $(PLANTED_CPPFLAGS)
%C%_simulate_members_planted_LDADD = libleveret_tests.a libleveret_cluster_planted.a \
	libleveret_store.a libleveret_base.a $(RAFT_LIBS)

if HAVE_RAFT
check_PROGRAMS += %D%/simulate_members %D%/simulate_members_planted
endif

dist_check_SCRIPTS += %D%/test_members.sh %D%/planted.sh
TESTS += %D%/test_members.sh

EXTRA_DIST += %D%/README.md
