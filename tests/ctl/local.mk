# leveretctl as an operator meets it, by its own name and by RabbitMQ's.

EXTRA_DIST += \
	%D%/README.md \
	%D%/cases/health.txt \
	%D%/cases/lists.txt \
	%D%/cases/parameters.txt \
	%D%/cases/policies.txt \
	%D%/cases/usage.txt \
	%D%/cases/users.txt \
	%D%/cases/vhosts.txt \
	%D%/cases/programs.txt \
	%D%/differences.txt \
	%D%/golden/actions.cmd \
	%D%/golden/actions.txt \
	%D%/golden/alarms.cmd \
	%D%/golden/alarms.txt \
	%D%/golden/diagnostics.cmd \
	%D%/golden/diagnostics.txt \
	%D%/golden/lists.cmd \
	%D%/golden/lists.txt \
	%D%/golden/stopped.cmd \
	%D%/golden/stopped.txt \
	%D%/program.py \
	%D%/transcript.py

dist_check_SCRIPTS += \
	%D%/admin.py \
	%D%/copies.py \
	%D%/doctor.py \
	%D%/golden.py \
	%D%/messages.py \
	%D%/own.py \
	%D%/page.py \
	%D%/replay.py \
	%D%/watching.py
TESTS += \
	%D%/admin.py \
	%D%/copies.py \
	%D%/doctor.py \
	%D%/golden.py \
	%D%/messages.py \
	%D%/own.py \
	%D%/page.py \
	%D%/replay.py \
	%D%/watching.py
