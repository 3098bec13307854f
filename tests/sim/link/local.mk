# Links between nodes over queues in memory: simulations from a seed.

LINK_SOURCES = \
	%D%/bench.c \
	%D%/bench.h \
	%D%/simulate_link.c \
	%D%/weather.c \
	%D%/weather.h

%C%_simulate_link_SOURCES = $(LINK_SOURCES)
%C%_simulate_link_LDADD = libleveret_tests.a libleveret_cluster.a libleveret_base.a

# The same with bugs to be planted; see tests/planted.
%C%_simulate_link_planted_SOURCES = $(LINK_SOURCES) tests/planted/planted.c
%C%_simulate_link_planted_CPPFLAGS = $(PLANTED_CPPFLAGS)
%C%_simulate_link_planted_LDADD = libleveret_tests.a libleveret_cluster_planted.a libleveret_base.a

if HAVE_RAFT
check_PROGRAMS += %D%/simulate_link %D%/simulate_link_planted
endif

dist_check_SCRIPTS += %D%/test_link.sh
TESTS += %D%/test_link.sh
