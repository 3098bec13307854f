# Real clients against a running broker. They need a broker and some minutes, so interop/run is called by
# scripts/check rather than by "make check".

EXTRA_DIST += \
	%D%/broker.py \
	%D%/client.py \
	%D%/pika_asyncio.py \
	%D%/pika_blocking.py \
	%D%/pika_callbacks.py \
	%D%/pika_select.py \
	%D%/pika_tutorials.py \
	%D%/tap.py
