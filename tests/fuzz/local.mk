# Fuzz targets: fuzz_<name> with its inputs in corpus/<name>/. With --enable-fuzzing each is a libFuzzer
# program; without, it is linked with a main that replays the files named to it. "make check" replays
# the corpora either way.

if FUZZING
FUZZ_MAIN =
else
FUZZ_MAIN = %D%/replay_main.c
endif

dist_check_SCRIPTS += %D%/corpus.sh
EXTRA_DIST += %D%/corpus %D%/connection.dict %D%/definitions.dict %D%/http.dict

EXTRA_DIST += \
	%D%/make_corpus.py

FUZZ_TARGETS = \
	%D%/fuzz_config \
	%D%/fuzz_connection \
	%D%/fuzz_definitions \
	%D%/fuzz_frame \
	%D%/fuzz_http \
	%D%/fuzz_method \
	%D%/fuzz_proxy \
	%D%/fuzz_replay \
	%D%/fuzz_table \
	%D%/fuzz_websocket

check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += %D%/corpus.sh

%C%_fuzz_frame_SOURCES = %D%/fuzz_frame.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_method_SOURCES = %D%/fuzz_method.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_method_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_table_SOURCES = %D%/fuzz_table.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_table_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_config_SOURCES = %D%/fuzz_config.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_config_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_connection_SOURCES = %D%/fuzz_connection.c %D%/fuzz.h tests/script/world.c $(FUZZ_MAIN)
%C%_fuzz_connection_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_definitions_SOURCES = %D%/fuzz_definitions.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_definitions_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_definitions_LDADD = libleveret_store_fake.a $(LDADD)

%C%_fuzz_http_SOURCES = %D%/fuzz_http.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_http_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

if HAVE_RAFT
check_PROGRAMS += %D%/fuzz_image %D%/fuzz_link %D%/fuzz_relay %D%/fuzz_resume
endif
%C%_fuzz_image_SOURCES = %D%/fuzz_image.c %D%/fuzz.h %D%/node.c %D%/node.h $(FUZZ_MAIN)
%C%_fuzz_image_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_image_LDADD = libleveret_main.a $(LEVERET_LIBS)
%C%_fuzz_link_SOURCES = %D%/fuzz_link.c %D%/fuzz.h %D%/node.c %D%/node.h $(FUZZ_MAIN)
%C%_fuzz_link_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_link_LDADD = libleveret_cluster.a libleveret_base.a

%C%_fuzz_relay_SOURCES = %D%/fuzz_relay.c %D%/fuzz.h %D%/node.c %D%/node.h $(FUZZ_MAIN)
%C%_fuzz_relay_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_relay_LDADD = libleveret_cluster.a libleveret_peer.a libleveret_store.a libleveret_amqp.a libleveret_base.a

%C%_fuzz_resume_SOURCES = %D%/fuzz_resume.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_resume_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
%C%_fuzz_resume_LDADD = libleveret_cluster.a libleveret_amqp.a libleveret_base.a

%C%_fuzz_proxy_SOURCES = %D%/fuzz_proxy.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_proxy_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_websocket_SOURCES = %D%/fuzz_websocket.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_websocket_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)

%C%_fuzz_replay_SOURCES = %D%/fuzz_replay.c %D%/fuzz.h $(FUZZ_MAIN)
%C%_fuzz_replay_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
