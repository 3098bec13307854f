# The whole broker in memory, driven by scripts of send and expect lines; without arguments the runner
# runs every script in this folder.

check_PROGRAMS += %D%/runner.t
TESTS += %D%/runner.t
%C%_runner_t_SOURCES = \
	%D%/runner.c \
	%D%/world.c \
	%D%/world.h

# Every script belongs to the release; there is none to be named.
dist-hook:
	cp -p $(srcdir)/%D%/*.amqp $(distdir)/%D%/
