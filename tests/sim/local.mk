# The whole broker, its disk and its clients in one process, on one clock: simulations from a seed.

SIMULATION_SOURCES = \
	%D%/admin.c \
	%D%/campaign.c \
	%D%/campaign.h \
	%D%/chaos.c \
	%D%/chaos.h \
	%D%/chores.c \
	%D%/client.c \
	%D%/copy.c \
	%D%/dials.c \
	%D%/dials.def \
	%D%/events.c \
	%D%/events.h \
	%D%/machine.c \
	%D%/met.def \
	%D%/promise.c \
	%D%/sim.h \
	%D%/simulation.c \
	%D%/simulation.h \
	%D%/solo.c \
	%D%/solo.h \
	%D%/solo_internal.h \
	%D%/solo_limits.c \
	%D%/solo_model.c \
	%D%/solo_names.c \
	%D%/solo_operate.c \
	%D%/solo_retry.c \
	%D%/solo_steps.c \
	%D%/solo_survey.c \
	%D%/solo_time.c \
	%D%/stranger.c \
	%D%/work.c

if HAVE_RAFT
SIMULATION_SOURCES += %D%/agree.c
else
SIMULATION_SOURCES += %D%/agree_none.c
endif
EXTRA_DIST += %D%/agree.c %D%/agree_none.c

check_LIBRARIES += libleveret_simulation.a
libleveret_simulation_a_SOURCES = $(SIMULATION_SOURCES)

check_PROGRAMS += \
	%D%/simulate \
	%D%/test_simulation.t
TESTS += %D%/test_simulation.t

%C%_simulate_LDADD = libleveret_simulation.a $(LDADD)
%C%_test_simulation_t_LDADD = libleveret_simulation.a $(LDADD)

EXTRA_DIST += %D%/README.md

# What the tests of simulators do alike.
EXTRA_DIST += %D%/seeds.sh

dist_check_SCRIPTS += %D%/trace.sh %D%/planted.sh
TESTS += %D%/trace.sh

# The same with bugs to be planted; see tests/planted.
check_PROGRAMS += %D%/simulate_planted
%C%_simulate_planted_SOURCES = %D%/simulate.c
%C%_simulate_planted_LDADD = libleveret_simulation.a $(PLANTED_LDADD)
