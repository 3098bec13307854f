/* See image.h. Pieces arrive in the order in which they were asked for, as those of one class do while a link is
 * up; when it has gone they are asked for again, from the first that has not come. */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backup.h"
#include "base/mem.h"
#include "base/random.h"
#include "check_store.h"
#include "folder.h"
#include "image_folder.h"

enum {
    PIECE_BYTES = 256 << 10,
    PIECES_MAX = 16,           /* that were asked for, and have not come */
    UNSENT_BYTES = 1 << 20,    /* more of a link than that waits, and no piece is sent */
    SYNC_BYTES = 8 << 20,      /* are written before they are synced */
    OFFER_MS = 1000,           /* again */
    IDLE_MS = 60000,           /* without a question: the image goes */
    RETRY_MS = 10000,          /* after something went wrong */
    RETRY_SOON_MS = 300,       /* after something was gone with who had it */
};

#define NO_FILE UINT32_MAX

struct pull {
    uint32_t node; /* who asks: its number */
    uint64_t token;
    uint32_t file, size;
    uint64_t offset;
};

/* The worker reads a piece. */
struct reading {
    struct job job;
    struct pull pull;
    char *path;
    uint8_t *bytes;
    size_t got;
    int error;
    bool is_busy;
};

enum leaving_state {
    LEAVES_NOT,
    LEAVES_IS_MADE,   /* by the store */
    LEAVES_AT_WORKER, /* its files are looked for, or removed */
    LEAVES,
};

/* What is to be sent. */
struct leaving {
    enum leaving_state state;
    struct backup backup;
    struct job listing;
    char *folder;
    struct image_files files;
    struct buffer list; /* the files, as it is said which there are */
    int error;
    uint64_t token;
    struct group_image head;
    uint64_t used_ms, again_ms;
    uint64_t begun; /* how many */
    uint64_t offered_ms[LINKS_MAX + 1]; /* by number */
    struct pull pulls[PIECES_MAX * 8]; /* of seven others at most */
    size_t pull_count;
    struct reading reading;
};

enum coming_state { COMES_NOT, COMES_IS_PREPARED, COMES, COMES_IS_CHECKED, COMES_IS_THERE };

/* What has come and is to be written. */
struct piece {
    struct job job;
    struct images *images;
    uint32_t file;
    uint64_t offset;
    size_t size;
    uint8_t bytes[];
};

struct coming {
    enum coming_state state;
    uint32_t from; /* the node's number */
    uint64_t token;
    struct group_image head;
    struct image_files files;
    char *folder;
    struct job job; /* prepares, or checks */
    char why[400];  /* that came to nothing; the worker's, and read when it has done */
    uint64_t begun_ms, heard_ms, again_ms;
    uint32_t ask_file, come_file; /* the next that is asked for; that comes */
    uint64_t ask_at, come_at;
    uint32_t asked, unwritten; /* pieces */
    bool was_up;               /* the link, when they were asked for */
    uint64_t incarnation;
    /* The worker's: */
    int fd;
    uint64_t unsynced;
};

struct images {
    struct images_options options;
    struct store_options store_options;
    struct random random;
    struct leaving leaving;
    struct coming coming;
};

static struct images *images_of_leaving(struct leaving *leaving)
{
    return list_entry(leaving, struct images, leaving);
}

static struct images *images_of_coming(struct coming *coming)
{
    return list_entry(coming, struct images, coming);
}

static void submit(struct images *images, struct job *job)
{
    images->options.worker->ops->submit(images->options.worker, job);
}

/* ---- what leaves ---- */

static void leave_no_more(struct images *images)
{
    struct leaving *leaving = &images->leaving;
    image_files_free(&leaving->files);
    buffer_free(&leaving->list);
    memset(leaving->offered_ms, 0, sizeof(leaving->offered_ms));
    leaving->pull_count = 0;
    leaving->state = LEAVES_NOT;
}

static void list_files(struct job *job)
{
    struct leaving *leaving = list_entry(job, struct leaving, listing);
    leaving->error = image_files_find(&leaving->files, leaving->folder);
}

static void drop_folder(struct job *job)
{
    struct leaving *leaving = list_entry(job, struct leaving, listing);
    image_folder_drop(leaving->folder);
}

static void was_dropped(struct job *job)
{
    leave_no_more(images_of_leaving(list_entry(job, struct leaving, listing)));
}

/* It goes from the disk, and another one may be made then. */
static void drop_leaving(struct images *images)
{
    struct leaving *leaving = &images->leaving;
    leaving->state = LEAVES_AT_WORKER;
    leaving->listing = (struct job){.run = drop_folder, .done = was_dropped};
    submit(images, &leaving->listing);
}

static void was_listed(struct job *job)
{
    struct leaving *leaving = list_entry(job, struct leaving, listing);
    struct images *images = images_of_leaving(leaving);
    if (leaving->error) {
        log_event(images->options.log, EVENT_image_failed, "to=others reason=\"%s\"", strerror(leaving->error));
        drop_leaving(images);
        return;
    }
    image_files_write(&leaving->list, &leaving->files);
    leaving->state = LEAVES;
    log_event(images->options.log, EVENT_image_made, "files=%zu bytes=%llu last=%llu", leaving->files.count,
              (unsigned long long)leaving->files.bytes, (unsigned long long)leaving->head.last);
}

static void begin_leaving(struct images *images, uint64_t now_ms, const struct group_image *head)
{
    struct leaving *leaving = &images->leaving;
    char error[400];
    if (now_ms < leaving->again_ms)
        return;
    leaving->again_ms = now_ms + RETRY_MS;
    const char *fault = backup_begin(&leaving->backup, images->options.store, leaving->folder, images->options.wake,
                                     images->options.context, error, sizeof(error));
    if (fault) {
        log_event(images->options.log, EVENT_image_failed, "to=others reason=\"%s\"", fault);
        return;
    }
    leaving->state = LEAVES_IS_MADE;
    leaving->begun++;
    leaving->head = *head;
    leaving->token = random_next(&images->random);
    leaving->used_ms = now_ms;
}

static void look_at_copy(struct images *images)
{
    struct leaving *leaving = &images->leaving;
    if (leaving->state != LEAVES_IS_MADE || !backup_has_ended(&leaving->backup))
        return;
    if (leaving->backup.copy.state == STORE_BACKUP_FAILED) {
        drop_leaving(images);
        return;
    }
    leaving->state = LEAVES_AT_WORKER;
    leaving->listing = (struct job){.run = list_files, .done = was_listed};
    submit(images, &leaving->listing);
}

void images_offer(struct images *images, uint64_t now_ms, struct link *link, const struct group_image *head)
{
    struct leaving *leaving = &images->leaving;
    uint32_t number = link_number(link);
    if (leaving->state == LEAVES_NOT)
        begin_leaving(images, now_ms, head);
    if (leaving->state != LEAVES || number > LINKS_MAX || now_ms < leaving->offered_ms[number] + OFFER_MS)
        return;
    union link_frame frame = {.image = {.type = LINK_IMAGE,
                                        .token = leaving->token,
                                        .term = leaving->head.term,
                                        .last = leaving->head.last,
                                        .last_term = leaving->head.last_term,
                                        .files = buffer_bytes(&leaving->list)}};
    if (link_send(link, &frame) == LINK_SENT)
        leaving->offered_ms[number] = now_ms;
}

uint64_t images_begun(const struct images *images)
{
    return images->leaving.begun;
}

uint64_t images_keep(const struct images *images)
{
    return images->leaving.state == LEAVES_NOT ? UINT64_MAX : images->leaving.head.last;
}

static void read_piece(struct job *job)
{
    struct reading *reading = list_entry(job, struct reading, job);
    int fd = open(reading->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    reading->error = fd < 0 ? errno : 0;
    reading->got = 0;
    while (!reading->error && reading->got < reading->pull.size) {
        ssize_t got = pread(fd, reading->bytes + reading->got, reading->pull.size - reading->got,
                            (off_t)(reading->pull.offset + reading->got));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            reading->error = got < 0 ? errno : EIO; /* it is shorter than it was */
        else
            reading->got += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
}

static void reply(struct images *images, const struct pull *pull, uint32_t file, struct bytes bytes)
{
    struct link *link = links_numbered(images->options.links, pull->node);
    union link_frame frame = {.reply = {.type = LINK_REPLY,
                                        .token = pull->token,
                                        .file = file,
                                        .offset = pull->offset,
                                        .bytes = bytes}};
    if (link)
        link_send(link, &frame);
}

static void was_read(struct job *job)
{
    struct reading *reading = list_entry(job, struct reading, job);
    struct leaving *leaving = list_entry(reading, struct leaving, reading);
    struct images *images = images_of_leaving(leaving);
    reading->is_busy = false;
    mem_free(reading->path);
    reading->path = NULL;
    if (reading->error)
        log_event(images->options.log, EVENT_image_failed, "to=%u reason=\"%s\"", reading->pull.node,
                  strerror(reading->error));
    reply(images, &reading->pull, reading->error ? NO_FILE : reading->pull.file,
          bytes_of(reading->bytes, reading->error ? 0 : reading->got));
}

static bool is_piece_of(const struct leaving *leaving, const struct pull *pull)
{
    if (leaving->state != LEAVES || pull->token != leaving->token || pull->file >= leaving->files.count)
        return false;
    uint64_t size = leaving->files.files[pull->file].size;
    return pull->offset <= size && pull->size <= size - pull->offset;
}

/* The next piece, when there is room for it on its way. */
static void send_pieces(struct images *images)
{
    struct leaving *leaving = &images->leaving;
    struct reading *reading = &leaving->reading;
    while (leaving->pull_count && !reading->is_busy) {
        struct pull pull = leaving->pulls[0];
        struct link *link = links_numbered(images->options.links, pull.node);
        bool is_up = link && link_is_up(link);
        if (is_up && link_unsent(link) > UNSENT_BYTES)
            return;
        memmove(leaving->pulls, leaving->pulls + 1, --leaving->pull_count * sizeof(pull));
        if (!is_up)
            continue;
        if (!is_piece_of(leaving, &pull)) {
            reply(images, &pull, NO_FILE, (struct bytes){0});
            continue;
        }
        reading->pull = pull;
        reading->path = folder_join(leaving->folder, leaving->files.files[pull.file].name);
        if (!reading->bytes)
            reading->bytes = mem_alloc(PIECE_BYTES);
        reading->is_busy = true;
        reading->job = (struct job){.run = read_piece, .done = was_read};
        submit(images, &reading->job);
    }
}

static void pulled(struct images *images, uint64_t now_ms, const struct link *link, const struct link_pull *frame)
{
    struct leaving *leaving = &images->leaving;
    struct pull pull = {.node = link_number(link),
                        .token = frame->token,
                        .file = frame->file,
                        .size = frame->size < PIECE_BYTES ? frame->size : PIECE_BYTES,
                        .offset = frame->offset};
    if (pull.token == leaving->token)
        leaving->used_ms = now_ms;
    if (leaving->pull_count < sizeof(leaving->pulls) / sizeof(leaving->pulls[0]))
        leaving->pulls[leaving->pull_count++] = pull;
}

/* ---- what comes ---- */

static void close_file(struct coming *coming)
{
    if (coming->fd >= 0)
        close(coming->fd);
    coming->fd = -1;
    coming->unsynced = 0;
}

static void come_no_more(struct images *images, uint64_t now_ms, const char *why)
{
    struct coming *coming = &images->coming;
    if (why)
        log_event(images->options.log, EVENT_image_failed, "from=%u reason=\"%s\"", coming->from, why);
    coming->state = COMES_NOT;
    coming->again_ms = now_ms + RETRY_MS;
    image_files_free(&coming->files);
}

/* So much must be free beside it. */
static bool has_room(const struct coming *coming, uint64_t spared)
{
    struct statvfs there;
    return statvfs(coming->folder, &there) != 0 ||
           (uint64_t)there.f_bavail * there.f_frsize >= coming->files.bytes + spared;
}

static void prepare(struct job *job)
{
    struct coming *coming = list_entry(job, struct coming, job);
    const struct images *images = images_of_coming(coming);
    close_file(coming);
    int error = image_folder_make(coming->folder);
    if (error)
        snprintf(coming->why, sizeof(coming->why), "%s: %s", coming->folder, strerror(error));
    else if (!has_room(coming, images->store_options.disk_reserve_bytes))
        snprintf(coming->why, sizeof(coming->why),
                 "it has %llu bytes, for which this disk has no room beside the store that is there",
                 (unsigned long long)coming->files.bytes);
}

static void was_prepared(struct job *job)
{
    struct coming *coming = list_entry(job, struct coming, job);
    struct images *images = images_of_coming(coming);
    if (coming->why[0])
        come_no_more(images, coming->heard_ms, coming->why);
    else
        coming->state = COMES;
}

static bool is_new_file(const struct coming *coming, const struct piece *piece)
{
    return piece->offset == 0 || coming->fd < 0;
}

static int write_piece_to(struct coming *coming, const struct piece *piece)
{
    const struct image_file *file = &coming->files.files[piece->file];
    if (is_new_file(coming, piece)) {
        char *path = folder_join(coming->folder, file->name);
        close_file(coming);
        coming->fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        mem_free(path);
    }
    if (coming->fd < 0)
        return errno;
    size_t done = 0;
    while (done < piece->size) {
        ssize_t wrote = pwrite(coming->fd, piece->bytes + done, piece->size - done, (off_t)(piece->offset + done));
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote < 0 ? errno : EIO;
        done += (size_t)wrote;
    }
    coming->unsynced += piece->size;
    bool is_last = piece->offset + piece->size == file->size;
    if ((is_last || coming->unsynced >= SYNC_BYTES) && fdatasync(coming->fd) != 0)
        return errno;
    if (is_last)
        close_file(coming);
    else if (coming->unsynced >= SYNC_BYTES)
        coming->unsynced = 0;
    return 0;
}

static void write_piece(struct job *job)
{
    const struct piece *piece = list_entry(job, struct piece, job);
    struct coming *coming = &piece->images->coming;
    int error = coming->why[0] ? 0 : write_piece_to(coming, piece);
    if (error)
        snprintf(coming->why, sizeof(coming->why), "%s: %s", coming->files.files[piece->file].name, strerror(error));
}

static void keep_line(void *context, const char *line)
{
    buffer_add(context, line, strlen(line));
    buffer_add(context, "; ", 2);
}

/* It gets an identity of its own: no file of it is ever taken for one of the leader's. */
static bool make_own(struct coming *coming)
{
    uint8_t id[16];
    char *index = folder_join(coming->folder, "index");
    struct disk *disk = disk_posix_new(coming->folder);
    struct kv *kv = kv_leveldb_new(index);
    bool is_random = getrandom(id, sizeof(id), 0) == (ssize_t)sizeof(id);
    bool ok = disk && is_random && store_copy_adopt(disk, kv, id, coming->why, sizeof(coming->why));
    int error = ok ? folder_sync(index) : 0;
    if (ok && !error)
        error = store_copy_end(disk);
    if (!disk || !is_random || error)
        snprintf(coming->why, sizeof(coming->why), "%s: %s", coming->folder, strerror(error ? error : errno));
    kv_leveldb_free(kv);
    disk_posix_free(disk);
    mem_free(index);
    return coming->why[0] == '\0';
}

static void check(struct job *job)
{
    struct coming *coming = list_entry(job, struct coming, job);
    struct store_options options = images_of_coming(coming)->store_options;
    struct store_contents contents = {0};
    struct buffer lines = {0};
    close_file(coming);
    if (!coming->why[0] && make_own(coming) &&
        check_locked_store(coming->folder, &options, keep_line, &lines, &contents) != 0)
        snprintf(coming->why, sizeof(coming->why), "what has come is not sound: %.*s", BYTES_ARG(buffer_bytes(&lines)));
    buffer_free(&lines);
}

static void was_checked(struct job *job)
{
    struct coming *coming = list_entry(job, struct coming, job);
    struct images *images = images_of_coming(coming);
    if (coming->why[0]) {
        come_no_more(images, coming->heard_ms, coming->why);
        return;
    }
    coming->state = COMES_IS_THERE;
    log_event(images->options.log, EVENT_image_came, "from=%u files=%zu bytes=%llu last=%llu", coming->from,
              coming->files.count, (unsigned long long)coming->files.bytes, (unsigned long long)coming->head.last);
}

static void offered(struct images *images, uint64_t now_ms, struct link *link, const struct link_image *frame)
{
    struct coming *coming = &images->coming;
    bool is_idle = coming->state == COMES_NOT || (coming->state == COMES && coming->unwritten == 0);
    if (coming->state != COMES_NOT && coming->token == frame->token)
        return;
    if (!is_idle || (coming->state == COMES_NOT && now_ms < coming->again_ms))
        return;
    image_files_free(&coming->files);
    if (!image_files_read(&coming->files, frame->files)) {
        come_no_more(images, now_ms, "what is offered is no image");
        return;
    }
    coming->state = COMES_IS_PREPARED;
    coming->from = link_number(link);
    coming->token = frame->token;
    coming->head = (struct group_image){frame->term, frame->last, frame->last_term};
    coming->why[0] = '\0';
    coming->begun_ms = coming->heard_ms = now_ms;
    coming->ask_file = coming->come_file = 0;
    coming->ask_at = coming->come_at = 0;
    coming->asked = 0;
    coming->incarnation = 0;
    coming->job = (struct job){.run = prepare, .done = was_prepared};
    submit(images, &coming->job);
    log_event(images->options.log, EVENT_image_comes, "from=%u files=%zu bytes=%llu", coming->from,
              coming->files.count, (unsigned long long)coming->files.bytes);
}

static uint32_t piece_at(const struct coming *coming, uint32_t file, uint64_t at)
{
    uint64_t left = coming->files.files[file].size - at;
    return left < PIECE_BYTES ? (uint32_t)left : PIECE_BYTES;
}

static void go_on(const struct coming *coming, uint32_t *file, uint64_t *at)
{
    *at += piece_at(coming, *file, *at);
    if (*at < coming->files.files[*file].size)
        return;
    ++*file;
    *at = 0;
}

/* What was on its way when a link went down does not come. */
static void ask_again(struct coming *coming)
{
    coming->ask_file = coming->come_file;
    coming->ask_at = coming->come_at;
    coming->asked = 0;
}

static void ask(struct images *images)
{
    struct coming *coming = &images->coming;
    struct link *link = links_numbered(images->options.links, coming->from);
    bool is_up = link && link_is_up(link);
    if (!is_up || !coming->was_up)
        ask_again(coming);
    coming->was_up = is_up;
    while (is_up && coming->asked + coming->unwritten < PIECES_MAX && coming->ask_file < coming->files.count) {
        union link_frame frame = {.pull = {.type = LINK_PULL,
                                           .token = coming->token,
                                           .file = coming->ask_file,
                                           .offset = coming->ask_at,
                                           .size = piece_at(coming, coming->ask_file, coming->ask_at)}};
        if (link_send(link, &frame) != LINK_SENT)
            return;
        go_on(coming, &coming->ask_file, &coming->ask_at);
        coming->asked++;
    }
}

static void was_written(struct job *job)
{
    struct piece *piece = list_entry(job, struct piece, job);
    struct coming *coming = &piece->images->coming;
    coming->unwritten--;
    mem_free(piece);
}

static void came(struct images *images, uint64_t now_ms, const struct link *link, const struct link_reply *frame)
{
    struct coming *coming = &images->coming;
    if (coming->state != COMES || frame->token != coming->token || link_number(link) != coming->from)
        return;
    if (frame->file == NO_FILE) {
        if (coming->unwritten == 0) {
            come_no_more(images, now_ms, "it is there no more");
            coming->again_ms = now_ms + RETRY_SOON_MS;
        }
        return;
    }
    if (frame->file != coming->come_file || frame->offset != coming->come_at ||
        coming->come_file == coming->files.count ||
        frame->bytes.size != piece_at(coming, coming->come_file, coming->come_at) || coming->asked == 0)
        return;
    struct piece *piece = mem_alloc(sizeof(*piece) + frame->bytes.size);
    *piece = (struct piece){.job = {.run = write_piece, .done = was_written},
                            .images = images,
                            .file = frame->file,
                            .offset = frame->offset,
                            .size = frame->bytes.size};
    if (piece->size)
        memcpy(piece->bytes, frame->bytes.data, piece->size);
    go_on(coming, &coming->come_file, &coming->come_at);
    coming->asked--;
    coming->unwritten++;
    coming->heard_ms = now_ms;
    submit(images, &piece->job);
}

static void move_on(struct images *images, uint64_t now_ms)
{
    struct coming *coming = &images->coming;
    if (coming->state != COMES)
        return;
    if (coming->unwritten == 0 && (coming->why[0] || now_ms >= coming->heard_ms + IDLE_MS)) {
        come_no_more(images, now_ms, coming->why[0] ? coming->why : "nothing has come for too long");
        return;
    }
    if (coming->come_file < coming->files.count) {
        ask(images);
        return;
    }
    if (coming->unwritten)
        return;
    coming->state = COMES_IS_CHECKED;
    coming->job = (struct job){.run = check, .done = was_checked};
    submit(images, &coming->job);
}

bool images_have(const struct images *images, struct group_image *head)
{
    *head = images->coming.head;
    return images->coming.state == COMES_IS_THERE;
}

int images_take(struct images *images)
{
    return image_take(images->options.data_dir);
}

void images_refuse(struct images *images, uint64_t now_ms, const char *why)
{
    come_no_more(images, now_ms, why);
}

/* ---- turns ---- */

void images_receive(struct images *images, uint64_t now_ms, struct link *link, const union link_frame *frame)
{
    if (frame->type == LINK_IMAGE)
        offered(images, now_ms, link, &frame->image);
    else if (frame->type == LINK_PULL)
        pulled(images, now_ms, link, &frame->pull);
    else if (frame->type == LINK_REPLY)
        came(images, now_ms, link, &frame->reply);
}

void images_tick(struct images *images, uint64_t now_ms)
{
    struct job *job;
    const struct leaving *leaving = &images->leaving;
    while ((job = images->options.worker->ops->finished(images->options.worker)))
        job->done(job);
    look_at_copy(images);
    if (leaving->state == LEAVES && !leaving->reading.is_busy && now_ms >= leaving->used_ms + IDLE_MS)
        drop_leaving(images);
    send_pieces(images);
    move_on(images, now_ms);
}

uint64_t images_next_ms(const struct images *images)
{
    uint64_t next = UINT64_MAX;
    if (images->leaving.state == LEAVES)
        next = images->leaving.used_ms + IDLE_MS;
    if (images->coming.state == COMES && images->coming.heard_ms + IDLE_MS < next)
        next = images->coming.heard_ms + IDLE_MS;
    return next;
}

/* ---- all of it ---- */

struct images *images_new(const struct images_options *options)
{
    struct images *images = mem_zalloc(sizeof(*images));
    char *base = realpath(options->data_dir, NULL);
    images->options = *options;
    images->store_options = *options->store_options;
    images->coming.fd = -1;
    random_init(&images->random, options->seed);
    images->leaving.folder = folder_join(base ? base : options->data_dir, IMAGE_LEAVES);
    images->coming.folder = folder_join(base ? base : options->data_dir, IMAGE_COMES);
    free(base);
    backup_init(&images->leaving.backup, options->data_dir, options->log);
    image_folder_drop(images->leaving.folder);
    image_folder_drop(images->coming.folder);
    return images;
}

void images_free(struct images *images)
{
    struct job *job;
    if (!images)
        return;
    struct worker *worker = images->options.worker;
    worker->ops->drain(worker);
    while ((job = worker->ops->finished(worker)))
        if (job->run == write_piece)
            mem_free(list_entry(job, struct piece, job));
    close_file(&images->coming);
    backup_free(&images->leaving.backup);
    image_files_free(&images->leaving.files);
    image_files_free(&images->coming.files);
    buffer_free(&images->leaving.list);
    mem_free(images->leaving.reading.path);
    mem_free(images->leaving.reading.bytes);
    mem_free(images->leaving.folder);
    mem_free(images->coming.folder);
    mem_free(images);
}
