# The programs that interop/matrix runs; it makes them, so that a build needs none of their tools.

EXTRA_DIST += \
	%D%/aio_pika_client.py \
	%D%/amqp091.go \
	%D%/bunny.rb \
	%D%/pika_client.py \
	%D%/py_amqp_client.py
