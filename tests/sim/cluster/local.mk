# Whole brokers that are a cluster, with their clients, in one process: simulations from a seed.

BROKERS_SOURCES = \
	%D%/brokers.h \
	%D%/carried.c \
	%D%/client.c \
	%D%/faults.c \
	%D%/met.def \
	%D%/node.c \
	%D%/simulate_brokers.c \
	%D%/truth.c \
	%D%/work.c \
	tests/sim/campaign.c \
	tests/sim/campaign.h \
	tests/sim/group/drive.c \
	tests/sim/group/drive.h \
	tests/sim/link/bench.c \
	tests/sim/link/bench.h \
	tests/sim/link/weather.c \
	tests/sim/link/weather.h

%C%_simulate_brokers_SOURCES = $(BROKERS_SOURCES)

# The same with bugs to be planted; see tests/planted.
%C%_simulate_brokers_planted_SOURCES = $(BROKERS_SOURCES)
%C%_simulate_brokers_planted_CPPFLAGS = $(PLANTED_CPPFLAGS)
%C%_simulate_brokers_planted_LDADD = $(PLANTED_LDADD)

if HAVE_RAFT
check_PROGRAMS += %D%/simulate_brokers %D%/simulate_brokers_planted
endif

dist_check_SCRIPTS += %D%/test_brokers.sh %D%/planted.sh
TESTS += %D%/test_brokers.sh

EXTRA_DIST += %D%/README.md
