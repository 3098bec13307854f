# Fuzz targets: fuzz_<name> with its inputs in corpus/<name>/. With --enable-fuzzing each is a libFuzzer
# program; without, it is linked with a main that replays the files named to it. "make check" replays
# the corpora either way.

if FUZZING
FUZZ_MAIN =
else
FUZZ_MAIN = %D%/replay_main.c
endif

dist_check_SCRIPTS += %D%/corpus.sh
EXTRA_DIST += %D%/fuzz.h %D%/replay_main.c
