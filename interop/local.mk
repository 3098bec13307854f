# Real clients against a running broker. They need a broker and some minutes, so interop/run is called by
# scripts/check rather than by "make check".

EXTRA_DIST += \
	%D%/broker.py \
	%D%/client.py \
	%D%/pika_blocking.py \
	%D%/tap.py
