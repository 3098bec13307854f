# The benchmark. bench/run measures; bench/test tries it with small counts, and is called by
# scripts/check.

EXTRA_DIST += \
	%D%/README.md \
	%D%/bench.py \
	%D%/brokers.py \
	%D%/budget.json \
	%D%/chart.py \
	%D%/instructions.py \
	%D%/machine.py \
	%D%/perf.py \
	%D%/results.py \
	%D%/results/scaling.md \
	%D%/results/scaling.svg \
	%D%/rows.py \
	%D%/run \
	%D%/scaling.py \
	%D%/test
