# The benchmark. bench/run measures; bench/test tries it with small counts, and is called by
# scripts/check. The floor is what brokers are compared with, and is installed nowhere.

noinst_PROGRAMS = %D%/floor

%C%_floor_SOURCES = %D%/floor.c
%C%_floor_LDADD = libleveret_amqp.a libleveret_base.a

EXTRA_DIST += \
	%D%/README.md \
	%D%/bench.py \
	%D%/brokers.py \
	%D%/budget.json \
	%D%/chart.py \
	%D%/cluster \
	%D%/features.py \
	%D%/instructions.py \
	%D%/lists \
	%D%/io-threads \
	%D%/machine.py \
	%D%/modes.py \
	%D%/perf.py \
	%D%/results.py \
	%D%/results/io-threads.md \
	%D%/results/modes.md \
	%D%/results/backlog.md \
	%D%/results/bindings.md \
	%D%/results/features.md \
	%D%/results/chart.svg \
	%D%/results/results.md \
	%D%/results/scaling.md \
	%D%/results/turns.md \
	%D%/results/scaling.svg \
	%D%/rows.py \
	%D%/run \
	%D%/scaling.py \
	%D%/test \
	%D%/turns.py
