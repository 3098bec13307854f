# The programs that interop/matrix runs; it makes them, so that a build needs none of their tools.

EXTRA_DIST += \
	%D%/JavaClient.java \
	%D%/aio_pika_client.py \
	%D%/amqp091.go \
	%D%/amqplib.js \
	%D%/anyevent.pl \
	%D%/bunny.rb \
	%D%/management.js \
	%D%/node_harness.js \
	%D%/package-lock.json \
	%D%/package.json \
	%D%/php_amqplib.php \
	%D%/pika_client.py \
	%D%/py_amqp_client.py \
	%D%/rabbitmq_c_client.c \
	%D%/rabbitmq_client.js \
	%D%/web_amqp.js
