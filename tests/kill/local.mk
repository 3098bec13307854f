# A running broker, killed again and again. kill_load is the load and the judge, leveretd_volatile a
# broker on a disk that loses what was not synced; tests/kill/run runs campaigns of both and is called
# by scripts/check.

EXTRA_DIST += \
	%D%/README.md \
	%D%/backup \
	%D%/broker.py \
	%D%/cluster \
	%D%/cluster_model.py \
	%D%/cluster_net.py \
	%D%/delayed \
	%D%/feature_count.py \
	%D%/feature_model.py \
	%D%/feature_queues.py \
	%D%/features \
	%D%/full-disk \
	%D%/move \
	%D%/power \
	%D%/run

check_PROGRAMS += \
	%D%/kill_load \
	%D%/leveretd_volatile \
	%D%/wires

%C%_kill_load_SOURCES = \
	%D%/client.c \
	%D%/client.h \
	%D%/daemon.c \
	%D%/daemon.h \
	%D%/kill_load.c \
	%D%/message.c \
	%D%/message.h \
	%D%/model.c \
	%D%/model.h
%C%_kill_load_LDADD = libleveret_amqp.a libleveret_base.a

%C%_wires_SOURCES = %D%/wires.c
%C%_wires_LDADD =

# The daemon's own main file; its disk is found in the first library that has one.
%C%_leveretd_volatile_SOURCES = src/leveretd.c
%C%_leveretd_volatile_LDADD = libleveret_volatile.a $(LEVERET_LIBS)
