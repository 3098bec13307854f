# Real clients against a running broker. They need a broker and some minutes, so interop/run and
# interop/matrix are called by scripts/check rather than by "make check".

EXTRA_DIST += \
	%D%/amqp_tools.sh \
	%D%/broker.py \
	%D%/celery_tasks.py \
	%D%/celery_worker.py \
	%D%/client.py \
	%D%/management \
	%D%/matrix \
	%D%/matrix_client.py \
	%D%/npm.py \
	%D%/pika_asyncio.py \
	%D%/pika_blocking.py \
	%D%/pika_callbacks.py \
	%D%/pika_select.py \
	%D%/pika_tutorials.py \
	%D%/readme.py \
	%D%/README.md \
	%D%/run \
	%D%/run_cluster.py \
	%D%/scenarios.py \
	%D%/tap.py \
	%D%/three.py \
	%D%/transcripts \
	%D%/web

if HAVE_RABBITMQ
check_PROGRAMS += \
	%D%/rabbitmq_c
%C%_rabbitmq_c_SOURCES = %D%/rabbitmq_c.c
%C%_rabbitmq_c_CFLAGS = $(AM_CFLAGS) $(RABBITMQ_CFLAGS)
%C%_rabbitmq_c_LDADD = libleveret_tests.a $(RABBITMQ_LIBS)
endif
