#include "net/transfer.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "net/tls.h"

enum { SPARE_MAX = 8 };

ssize_t transfer_receive(int fd, struct tls *tls, void *data, size_t size)
{
    if (tls)
        return tls_recv(tls, data, size);
    return recv(fd, data, size, 0);
}

ssize_t transfer_send(int fd, struct tls *tls, struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    if (tls)
        return tls_send(tls, parts, count);
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* ---- the thread's side ---- */

/* Reads until there is no more or the buffer is full. What ends it after some bytes have come is found
 * again by the next call. */
static void run_receive(struct job *job)
{
    struct transfer *transfer = (struct transfer *)job;
    size_t got = 0;
    ssize_t n = 0;
    do {
        n = transfer_receive(transfer->fd, transfer->tls, transfer->input + got,
                             TRANSFER_INPUT_BYTES - got);
        got += n > 0 ? (size_t)n : 0;
    } while (n > 0 && got < TRANSFER_INPUT_BYTES);
    transfer->result = got ? (ssize_t)got : n;
    transfer->error = got ? 0 : errno;
}

static void run_send(struct job *job)
{
    struct transfer *transfer = (struct transfer *)job;
    transfer->result =
        transfer_send(transfer->fd, transfer->tls, transfer->parts, transfer->count);
    transfer->error = errno;
}

/* ---- the owner's side ---- */

bool transfers_init(struct transfers *transfers, size_t threads, void (*wake)(void *context),
                    void *context)
{
    *transfers = (struct transfers){.workers = mem_zalloc_array(threads + 1, sizeof(struct worker *))};
    list_init(&transfers->spare[false]);
    list_init(&transfers->spare[true]);
    while (transfers->workers_count < threads) {
        struct worker *worker = worker_thread_new("io", wake, context);
        if (!worker)
            return false;
        transfers->workers[transfers->workers_count++] = worker;
    }
    return true;
}

static void destroy(struct transfer *transfer)
{
    mem_free(transfer->input);
    mem_free(transfer);
}

void transfers_free(struct transfers *transfers)
{
    struct list finished;
    struct list *link;
    if (!transfers->workers)
        return;
    for (size_t i = 0; i < transfers->workers_count; i++)
        transfers->workers[i]->ops->drain(transfers->workers[i]);
    list_init(&finished);
    transfers_finished(transfers, &finished);
    while ((link = list_take_first(&finished)) ||
           (link = list_take_first(&transfers->spare[false])) ||
           (link = list_take_first(&transfers->spare[true])))
        destroy(list_entry(link, struct transfer, job.link));
    for (size_t i = 0; i < transfers->workers_count; i++)
        worker_thread_free(transfers->workers[i]);
    mem_free(transfers->workers);
    transfers->workers = NULL;
    transfers->workers_count = 0;
}

struct worker *transfers_worker(struct transfers *transfers)
{
    if (!transfers->workers_count)
        return NULL;
    return transfers->workers[transfers->next++ % transfers->workers_count];
}

struct transfer *transfer_new(struct transfers *transfers, struct socket *socket, bool is_receive)
{
    if (transfers->in_use == TRANSFERS_MAX)
        return NULL;
    struct transfer *transfer;
    struct list *link = list_take_first(&transfers->spare[is_receive]);
    if (link) {
        transfer = list_entry(link, struct transfer, job.link);
        transfers->spare_count[is_receive]--;
    } else {
        transfer = mem_zalloc(sizeof(*transfer));
        transfer->is_receive = is_receive;
        transfer->input = is_receive ? mem_alloc(TRANSFER_INPUT_BYTES) : NULL;
    }
    transfers->in_use++;
    transfer->socket = socket;
    return transfer;
}

void transfer_submit(struct worker *worker, struct transfer *transfer)
{
    transfer->job.run = transfer->is_receive ? run_receive : run_send;
    worker->ops->submit(worker, &transfer->job);
}

void transfers_finished(struct transfers *transfers, struct list *finished)
{
    struct job *job;
    for (size_t i = 0; i < transfers->workers_count; i++)
        while ((job = transfers->workers[i]->ops->finished(transfers->workers[i])))
            list_push_back(finished, &job->link);
}

void transfer_free(struct transfers *transfers, struct transfer *transfer)
{
    bool is_receive = transfer->is_receive;
    transfers->in_use--;
    if (transfers->spare_count[is_receive] == SPARE_MAX) {
        destroy(transfer);
        return;
    }
    list_push_front(&transfers->spare[is_receive], &transfer->job.link);
    transfers->spare_count[is_receive]++;
}
