# The running daemon, byte by byte, over real sockets.

EXTRA_DIST += \
	%D%/amqp.py \
	%D%/api.py \
	%D%/api_differences.txt \
	%D%/api_golden.json \
	%D%/badinput.py \
	%D%/certificates.py \
	%D%/cluster_scenarios.py \
	%D%/errors.py \
	%D%/members.py \
	%D%/metrics_differences.txt \
	%D%/metrics_golden.json \
	%D%/queues.py \
	%D%/run \
	%D%/service.py \
	%D%/test_channels.py \
	%D%/test_confirm.py \
	%D%/test_content.py \
	%D%/test_dead_letters.py \
	%D%/test_deliveries.py \
	%D%/test_exchanges.py \
	%D%/test_fairness.py \
	%D%/test_lifetimes.py \
	%D%/test_reply_to.py \
	%D%/test_ttl.py \
	%D%/wire.py

# These start daemons of their own.
dist_check_SCRIPTS += \
	%D%/api_cors.py \
	%D%/api_definitions.py \
	%D%/api_golden.py \
	%D%/api_live.py \
	%D%/api_messages.py \
	%D%/api_parameters.py \
	%D%/api_rates.py \
	%D%/api_move.py \
	%D%/cluster.py \
	%D%/cluster_api.py \
	%D%/config.py \
	%D%/daemon.py \
	%D%/definitions.py \
	%D%/durable.py \
	%D%/httpinput.py \
	%D%/https.py \
	%D%/limits.py \
	%D%/logs.py \
	%D%/metrics.py \
	%D%/proxy.py \
	%D%/relay.py \
	%D%/resume.py \
	%D%/retries.py \
	%D%/tls.py \
	%D%/unixsocket.py \
	%D%/websocket.py
TESTS += \
	%D%/api_cors.py \
	%D%/api_definitions.py \
	%D%/api_golden.py \
	%D%/api_live.py \
	%D%/api_messages.py \
	%D%/api_parameters.py \
	%D%/api_rates.py \
	%D%/api_move.py \
	%D%/cluster.py \
	%D%/cluster_api.py \
	%D%/config.py \
	%D%/daemon.py \
	%D%/definitions.py \
	%D%/durable.py \
	%D%/httpinput.py \
	%D%/https.py \
	%D%/limits.py \
	%D%/logs.py \
	%D%/metrics.py \
	%D%/proxy.py \
	%D%/relay.py \
	%D%/resume.py \
	%D%/retries.py \
	%D%/tls.py \
	%D%/unixsocket.py \
	%D%/websocket.py
