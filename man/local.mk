# The manual, in mdoc; tests/man.sh reads it with mandoc.

dist_man_MANS += \
	%D%/leveret-api.7 \
	%D%/leveret-cluster.7 \
	%D%/leveret-journal.5 \
	%D%/leveret-metrics.7 \
	%D%/leveret-store.7 \
	%D%/leveret.conf.5 \
	%D%/leveretctl.8 \
	%D%/leveretd.8 \
	%D%/leveretperf.1
