# The whole broker in memory, driven by scripts of send and expect lines: see runner.c for the language,
# and cases/ for a script of each behaviour. Against a broker that runs somewhere they are driven by
# tests/wire/run.

check_PROGRAMS += %D%/runner.t
TESTS += %D%/runner.t

%C%_runner_t_SOURCES = \
	%D%/access.c \
	%D%/access.h \
	%D%/expect.c \
	%D%/policies.c \
	%D%/policies.h \
	%D%/run.c \
	%D%/run.h \
	%D%/runner.c \
	%D%/sockets.c \
	%D%/sockets.h \
	%D%/survey.c \
	%D%/survey.h \
	%D%/world.c \
	%D%/world.h

EXTRA_DIST += %D%/cases
