#!/bin/sh
# Tests the tests: each bug of src/base/planted.def is planted in turn, and the test that is named here
# for it must find it, when without a bug it finds nothing. Speaks TAP, and says how many seconds each
# took.
#
#     tests/planted/planted.sh [BUG]...    (in the build folder, or with $top_builddir and $srcdir)
#
# With PLANTED=no in the environment it does nothing.

set -u
# shellcheck source=../lib/tap.sh
. "$(dirname "$0")/../lib/tap.sh"
build=$(cd "${top_builddir:-.}" && pwd) || exit 99
source=$(cd "${srcdir:-.}" && pwd) || exit 99
bugs=$source/src/base/planted.def
scripts=$source/tests/script/cases
programs=$build/tests/planted
simulate="$build/tests/sim/simulate_planted --seeds 400 --seconds 2"
brokers="$build/tests/sim/cluster/simulate_brokers_planted --seeds 400 --seconds 10"
durable="LEVERETD=$programs/leveretd top_builddir=$build $source/tests/wire/durable.py"
seconds_max=240
signs='^not ok|^Bail out!|Assertion|the broker did not start'

# Which test finds which, one or more: a program of this folder, and what it is told.
tests() {
    cat <<TABLE
COPY_ENDS_EARLY test_backup
COPY_ENDS_EARLY $copies
COPY_UNMARKED TAP_ONLY=one_that_is_not_finished_says_so test_backup
COPY_SHARED_USED $copies
CHECKPOINT_BESIDE_COPY TAP_ONLY=checkpoints_wait_for_it test_backup
LAST_FORGOTTEN TAP_ONLY=its_files_are_its_own test_backup
NO_SYNC store_campaign --runs 30
NO_CHECKSUM store_campaign --runs 30
NO_FOLDER_SYNC store_campaign --runs 30
EARLY_CHECKPOINT TAP_ONLY=checkpoint_waits_for_the_journal test_order
EARLY_RETIRE store_campaign --runs 30
NO_MARK store_campaign --runs 30
BEFORE_NOT_SYNCED TAP_ONLY=segments_are_synced_in_order test_order
GROUP_NOT_HELD test_group_log
GROUP_CUT_HOLDS test_group_log
GROUP_CUT_DURABLE test_group_log
GROUP_FLOOR_LEFT_OUT test_group_log
GROUP_VOTE_LEFT_OUT test_group_log
GROUP_BLOCK_STALE test_group_log
GROUP_REST_STAYS test_group_log
GROUP_UNAGREED test_group_apply
GROUP_NEXT_RAISED test_group_apply
GROUP_MARK_LOWERED test_group_apply
GROUP_TAKEN_STAYS test_group_apply
SHORT_FORGOTTEN TAP_ONLY=no_room_for_a_file test_full_disk
ROOM_NOT_ASKED TAP_ONLY=larger_than_what_is_free test_full_disk
NOT_COVERED TAP_ONLY=all_is_taken_behind_a_message test_full_disk
RESERVE_GIVEN_UP TAP_ONLY=all_is_taken_behind_a_message test_full_disk
ENDING_AS_OTHERS test_short_disk
LARGE_WHEN_SHORT test_short_disk
SPARES_STAY TAP_ONLY=spares_go_first test_full_disk
END_KEPT TAP_ONLY=a_checkpoint_has_the_end_of_a_segment test_full_disk
ENDS_STAY TAP_ONLY=starts_leave_no_room_behind test_full_disk
NEVER_TIGHT TAP_ONLY=filled_beside_a_slow_queue test_full_disk
NO_RESCUE TAP_ONLY=start_on_a_full_disk test_full_disk
INDEX_GIVEN_UP TAP_ONLY=index_cannot_be_read test_full_disk
SYNC_TRIED_AGAIN TAP_ONLY=sync_is_not_tried_again test_order
ANCHOR_NOT_SYNCED TAP_ONLY=anchor_comes_first test_order
ANCHOR_NOT_SYNCED $durable --only anchor
ANCHOR_FAILURE_IGNORED TAP_ONLY=anchor_fails test_order
SEALED_AGAIN TAP_ONLY=checkpoint_is_written_again test_order
REPLAYED_NOT_SYNCED TAP_ONLY=replayed_is_durable test_order
CUT_NOT_SYNCED TAP_ONLY=cut_is_durable test_order
SETTLE_OMITTED TAP_ONLY=settled_in_one_queue_of_two test_entries
SETTLES_RAISE_NOTHING TAP_ONLY=numbers_of_settles_are_used test_entries
NUMBERS_BELOW_MARK TAP_ONLY=numbers_go_on_above_the_mark test_entries
UNRELEASED_NOT_AWAITED TAP_ONLY=compaction_waits_for_what_is_unreleased test_entries
UNRELEASED_FORGOTTEN TAP_ONLY=what_is_unreleased_is_known_after_a_restart test_entries
READERS_LEAK TAP_ONLY=reader_leaves_a_segment test_entries
MOVED_BODY_TAKEN TAP_ONLY=read_while_it_moved test_entries
DAMAGED_MOVED TAP_ONLY=damaged_is_not_moved test_entries
SHORT_FORGOTTEN TAP_ONLY=waiting_is_short test_order
DISK_NO_SYNC TAP_ONLY=files_are_synced test_disk_calls
DISK_NO_SYNC $durable --only confirm
DISK_NO_FOLDER_SYNC TAP_ONLY=names_are_synced test_disk_calls
DISK_NO_DSYNC TAP_ONLY=files_are_synced test_disk_calls
DISK_DSYNC_FOR_ALL TAP_ONLY=files_are_synced test_disk_calls
DISK_DSYNC_FIRST TAP_ONLY=files_are_synced test_disk_calls
LIMIT_COUNTS_TAKEN $features
DELIVERED_ONCE_MORE $features
REPLAYED_COUNT_LOST $features
REPLAYED_DELAY_LOST $features
AT_LEAST_ONCE_TWICE $features
LEVEL_LOST $features
AT_LEAST_ONCE_LOSES runner $scripts/dead_letter_at_least_once.amqp
AT_LEAST_ONCE_TWICE runner $scripts/dead_letter_at_least_once_full.amqp
NEVER_YIELDS runner $scripts/quorum_single_active.amqp
BCC_SHOWN runner $scripts/publish_cc.amqp
CLIENT_DEATH_NOT_COUNTED TAP_ONLY=what_a_client_says_is_counted_on test_broker_dead_letter
DAMAGED_BURIED TAP_ONLY=a_message_may_have_to_be_read_first test_broker_dead_letter
WEIGHT_IGNORED TAP_ONLY=weights_are_shares test_broker_exchange
HISTORY_GROWS runner $scripts/exchange_recent_history.amqp
SEEN_OFF_RECORD runner $scripts/deduplication_exchange_restart.amqp
SEEN_OFF_RECORD runner $scripts/deduplication_queue_restart.amqp
SEEN_GROWS runner $scripts/deduplication_exchange.amqp
DUPLICATE_CONFIRMED_EARLY runner $scripts/deduplication_waits.amqp
DUPLICATE_NOT_CONFIRMED runner $scripts/deduplication_exchange.amqp
REFUSED_IS_SEEN runner $scripts/deduplication_refused.amqp
DUPLICATE_OF_ITSELF runner $scripts/deduplication_dead_letter_back.amqp
SEEN_FOR_EVER runner $scripts/deduplication_queue.amqp
FIREHOSE_SHOWS_BCC runner $scripts/firehose.amqp
FIREHOSE_PASSED_BY runner $scripts/firehose_in_one_piece.amqp
BIND_OK_EARLY runner $scripts/bind_waits.amqp
UNBIND_OFF_RECORD test_broker_apply
LEAVING_NOT_TOLD test_broker_apply
CONFIRM_EARLY TAP_ONLY=thousands_wait test_wait
CONFIRMS_MERGED TAP_ONLY=waits_have_no_gaps test_wait
GET_COUNTED_DOWN runner $scripts/get_beside_prefetch.amqp
LIMIT_COUNTS_TAKEN runner $scripts/limit_length.amqp
DROPPED_BEFORE_TAKEN runner $scripts/limit_consumer_waits.amqp
REFUSED_CONFIRMED runner $scripts/limit_refuse.amqp
NO_SYNC $simulate
NO_MARK $simulate
NO_FOLDER_SYNC $simulate
EARLY_CHECKPOINT $simulate
EARLY_RETIRE $simulate
GET_COUNTED_DOWN $simulate
DECLARE_OK_EARLY $simulate
ALTERNATE_FORGOTTEN $simulate
UNBIND_OMITTED $simulate
EXCHANGE_STAYS $simulate
CC_IGNORED $simulate
ANY_IS_ALL $simulate
DEAD_LETTER_TWICE $simulate
DEAD_LETTER_KEY_FORGOTTEN $simulate
RETURN_OMITTED $simulate
PURGE_COUNTS_ONE_MORE $simulate
EXCLUSIVE_STAYS $simulate
EXCLUSIVE_USE_STAYS $simulate
AUTO_DELETE_OMITTED $simulate
CANCEL_NOT_TOLD $simulate
PREFETCH_ONE_MORE $simulate
PRIORITY_IGNORED $simulate
SINGLE_IGNORED $simulate
OPERATOR_POLICY_IGNORED runner $scripts/policy_operator.amqp
POLICY_FOR_NEW_ALONE runner $scripts/policy_length.amqp
LOWEST_POLICY_COUNTS runner $scripts/policy_priority.amqp
TIMEOUT_OF_QUEUE_IGNORED runner $scripts/consumer_timeout_queue.amqp
LATE_IS_UNKNOWN runner $scripts/consumer_timeout_return.amqp
SINGLE_NOT_AWAITED runner $scripts/single_active_in_turns.amqp
REDELIVERED_FORGOTTEN $simulate
RETURNED_USES_CREDIT $simulate
DIRECTLY_OUT_OF_TURN $simulate
COMMIT_SETTLES_NOTHING $simulate
POLICY_FOR_NEW_ALONE $simulate
OPERATOR_POLICY_IGNORED $simulate
LOWEST_POLICY_COUNTS $simulate
PERMISSION_REMEMBERED runner $scripts/access_publish.amqp
READ_NOT_ASKED $simulate
DECLARE_NOT_ASKED $simulate
CLOSE_OMITTED $simulate
QUOTA_HOLDS_NOBODY $simulate
QUOTA_NOT_COUNTED $simulate
QUOTA_FULL_AGAIN $simulate
QUOTA_OF_USER_IGNORED $simulate
QUOTA_HOLDS_OTHERS $simulate
QUOTA_FOR_NEW_ALONE $simulate
QUOTA_UNSET_IS_NONE $simulate
QUOTA_HOLDS_FOR_EVER $simulate
QUOTA_LOST_AT_START $simulate
COPY_ENDS_EARLY $simulate
CHECKPOINT_BESIDE_COPY $simulate
SCHEDULED_EARLY $simulate
SCHEDULE_NOT_READ $simulate
DELAYED_TWICE $simulate
DELAY_NOT_NEGATED $simulate
TIMEOUT_OF_QUEUE_IGNORED $simulate
SEEN_OFF_RECORD $simulate
DELIVERED_ONCE_MORE runner $scripts/delivery_limit.amqp
DELAYED_FOR_EVER runner $scripts/retry_restart.amqp
REPLAYED_COUNT_LOST TAP_ONLY=returns_are_counted_over_a_restart test_entries
REPLAYED_DELAY_LOST TAP_ONLY=delayed_messages_wait_over_a_restart test_entries
REPLAYED_EXPIRY_LOST test_replayed
SCHEDULED_EARLY runner $scripts/ttl_anywhere.amqp
SCHEDULED_EARLY runner $scripts/delay_types.amqp
SCHEDULE_NOT_READ runner $scripts/delay_restart.amqp
DELAY_NOT_NEGATED runner $scripts/delay_exchange.amqp
DELAYED_TWICE runner $scripts/delay_exchange.amqp
DELAYS_STAY runner $scripts/delay_deleted.amqp
SCHEDULE_NOT_READ runner $scripts/ttl_anywhere_restart.amqp
TTL_OF_QUEUE_IGNORED runner $scripts/ttl_message.amqp
LEVEL_LOST runner $scripts/priority_restart.amqp
LOWEST_LEVEL_FIRST runner $scripts/priority_order.amqp
PRIORITY_NOT_CLAMPED runner $scripts/priority_order.amqp
EXPIRED_DELIVERED TAP_ONLY=what_has_ended_is_not_taken test_queue_expiry
MOVED_SHARE_KEPT test_replayed
SAID_AGAIN_UNMARKED runner $scripts/resumed_publishes.amqp
RESUMED_DELIVERED_EARLY runner $scripts/relayed_claims.amqp
SETTLED_EARLY runner $scripts/relayed_claims.amqp
SETTLED_EARLY TAP_ONLY=what_is_settled_is_told_in_its_order test_wait
AGREE_DONE_EARLY $simulate --agree
AGREE_MARK_EARLY $simulate --agree
AGREE_NEXT_OF_STATE $simulate --agree
AGREE_SETTLE_UNSAID $simulate --agree
AGREE_LOOK_EARLY $simulate --agree
AGREE_COUNT_OF_STATE $simulate --agree
AGREE_NEW_REDELIVERED $simulate --agree
AGREE_LIMIT_OF_STATE $simulate --agree
AGREE_SCHEDULE_OF_STATE $simulate --agree
AGREE_DONE_EARLY $brokers
AGREE_MARK_EARLY $brokers
LANE_OFFICE_EARLY $brokers
LANE_DELIVERS_AT_ONCE $brokers
LANE_NAMES_UNAWAITED $brokers
LANE_CLAIMS_WAIT $brokers
RESUME_CONFIRM_SHIFTED $brokers
RESUME_NUMBERS_BEGIN $brokers
RESUME_DELIVERY_FORGOTTEN $brokers
RESUME_CLAIM_LEFT_OUT $brokers
RESUME_REFUSAL_UNHEARD $brokers
RESUME_ANSWER_UNSAID $brokers
RESUME_SETTLED_AT_ONCE $brokers
RESUME_PUBLISH_UNSAID $brokers
RESUME_ASKED_UNSAID $brokers
RESUME_CONSUMER_FORGOTTEN $brokers
TABLE
}

# Runs a test with a bug planted, or none when its name is empty. A word with = in front of the program
# goes to its environment.
run() { # BUG WORD...
    bug=$1
    shift
    began=$(date +%s%N)
    if [ -n "$bug" ]; then
        set -- "LEVERET_PLANTED=$bug" "$@"
    fi
    (cd "$build" && PATH=$programs:$PATH exec timeout -k 5 "$seconds_max" env "$@") >"$work/output" 2>&1
    status=$?
    seconds=$(($(date +%s%N) - began))
    seconds=$(printf '%d.%d' $((seconds / 1000000000)) $((seconds / 100000000 % 10)))
}

# How a test is called, for the reader.
called() { # WORD...
    echo "$*" | sed -E 's/(LEVERETD|top_builddir|TMPDIR)=[^ ]* //g; s|[^ ]*/||g; s/TAP_ONLY=([^ ]*) (.*)/\2 \1/; s/ --program.*//'
}

explain() {
    tail -n 5 "$work/output" | cut -c 1-200 | sed 's/^/#   /'
}

# The sound store, session and broker: the test, whatever it was told, has nothing to say.
sound() { # WORD...
    run '' "$@"
    ok $status "nothing planted: $(called "$@") ($seconds s)"
    [ $status -eq 0 ] || explain
}

# A check that did not hold has found it, and so has an assertion of the planted build, or a start that is
# refused.
found() { # BUG WORD...
    what=$(sed -n "s/^PLANTED($1, \"\(.*\)\")$/\1/p" "$bugs")
    run "$@"
    shift
    if [ $status -eq 0 ] && why=$(grep -m 1 -o '# SKIP .*' "$work/output"); then
        ok 0 "found: $what $why"
        return
    fi
    [ $status -ne 0 ] && grep -Eq "$signs" "$work/output"
    good=$?
    ok $good "found: $what, by $(called "$@") ($seconds s)"
    if [ $good -eq 0 ]; then
        grep -E "$signs" "$work/output" | head -n 1 | cut -c 1-200 | sed 's/^/#   /'
    else
        explain
    fi
}

work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
features="TMPDIR=$work $source/tests/kill/features --queues 100 --seconds 8 --kill-seconds 1.5 --short --seed 5 --program $programs/leveretd --build-dir $build"
copies="TMPDIR=$work $source/tests/kill/backup --rounds 6 --seed 5 --program $programs/leveretd --build-dir $build"

if [ "${PLANTED:-yes}" = no ]; then
    echo '1..0 # skip PLANTED=no'
    exit 0
fi

# Those of groups that agree are for tests/sim/engine.
names=$(sed -n '/^PLANTED(ENGINE_/d; /^PLANTED(LINK_/d; /^PLANTED(MEMBER_/d; s/^PLANTED(\([A-Z_]*\),.*/\1/p' "$bugs")
[ $# -eq 0 ] || names=$*

for name in $names; do
    tests | sed -n "s/^$name //p"
done | sort -u >"$work/tests"
while read -r words; do
    # Campaigns without a bug are run at length elsewhere.
    words=$(echo "$words" | sed "s/--runs .*/--runs 4/; s/--seeds [0-9]*/--seeds 4/")
    # The words are a list on purpose.
    # shellcheck disable=SC2086
    sound $words
done <"$work/tests"

for name in $names; do
    tests | sed -n "s/^$name //p" >"$work/tests"
    if [ ! -s "$work/tests" ]; then
        ok 1 "a test is named for $name"
    fi
    while read -r words; do
        # shellcheck disable=SC2086
        found "$name" $words
    done <"$work/tests"
done

end
