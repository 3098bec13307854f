#include "api/listing.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "broker/pattern.h"

/* What is collected and written goes off the budget in these steps. */
enum { COLLECT_STEPS = 25, FILTER_STEPS = 20, TAKE_STEPS = 60, BYTES_PER_STEP = 8 };
enum { PIECE_BYTES = 16384, PAGE_SIZE = 100, PAGE_SIZE_MAX = 500 };

struct filter {
    struct bytes text;      /* of a name that has it, in lower case */
    struct pattern pattern; /* of a name that matches it */
    bool is_pattern;
    char lower[256];
};

/* ---- which objects ---- */

static int by_name(const void *a, const void *b)
{
    return bytes_compare(vhost_name(*(struct vhost *const *)a),
                         vhost_name(*(struct vhost *const *)b));
}

static void hold(struct listing *listing, struct vhost *vhost)
{
    vhost->holders++;
    listing->vhosts[listing->vhost_count++] = vhost;
}

static void choose_vhosts(struct listing *listing, struct vhost *only)
{
    const struct map *all = &listing->call->api->broker->vhosts;
    struct vhost *vhost;
    listing->vhosts = mem_zalloc_array(only ? 1 : map_count(all) + 1, sizeof(*listing->vhosts));
    if (only)
        hold(listing, only);
    else
        for (uint64_t at = 0; (vhost = map_next(all, &at));)
            if (call_sees_vhost(listing->call, vhost))
                hold(listing, vhost);
    qsort(listing->vhosts, listing->vhost_count, sizeof(*listing->vhosts), by_name);
}

struct vhost *listing_vhost(const struct listing *listing)
{
    return listing->vhost_at < listing->vhost_count ? listing->vhosts[listing->vhost_at] : NULL;
}

void listing_next_vhost(struct listing *listing)
{
    listing->vhost_at++;
    listing->at = 0;
}

bool listing_walk(struct listing *listing, const struct map *map, map_each *each)
{
    if (!map_each_of_part(map, &listing->at, each, listing))
        listing_next_vhost(listing);
    return true;
}

static void lower(char *out, struct bytes text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] =
            (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + 32 : text.data[i]);
}

/* A name is at most 255 bytes, but for those of connections and channels. */
static bool has_text(const struct filter *filter, struct bytes name)
{
    char text[512];
    size_t size = name.size < sizeof(text) ? name.size : sizeof(text);
    lower(text, name, size);
    return memmem(text, size, filter->text.data, filter->text.size) != NULL;
}

static bool passes(struct listing *listing, struct bytes id)
{
    const struct filter *filter = listing->filter;
    struct bytes name;
    if (!filter)
        return true;
    if (listing->kind->name)
        name = listing->kind->name(listing, id);
    else
        listing_vhost_of(listing, id, &name);
    return filter->is_pattern ? pattern_matches(&filter->pattern, name) : has_text(filter, name);
}

void listing_add(struct listing *listing, struct bytes id)
{
    listing->total++;
    if (!passes(listing, id))
        return;
    listing->filtered++;
    struct bytes first = bytes_of(NULL, 0);
    if (listing->sort.count) {
        listing->scratch.size = 0;
        struct fields fields = fields_sort_key(&listing->scratch, &listing->sort);
        if (!listing->kind->write(listing, id, &fields))
            return;
        first = buffer_bytes(&listing->scratch);
    }
    order_add(&listing->order, first, id);
}

void listing_add_named(struct listing *listing, struct bytes name)
{
    uint8_t id[4 + 256];
    for (int i = 0; i < 4; i++)
        id[i] = (uint8_t)(listing->vhost_at >> (24 - 8 * i));
    size_t size = name.size < 256 ? name.size : 256;
    if (size)
        memcpy(id + 4, name.data, size);
    listing_add(listing, bytes_of(id, 4 + size));
}

struct vhost *listing_vhost_of(const struct listing *listing, struct bytes id, struct bytes *name)
{
    uint32_t number = 0;
    for (size_t i = 0; i < 4; i++)
        number = number << 8 | id.data[i];
    *name = bytes_of(id.data + 4, id.size - 4);
    return listing->vhosts[number];
}

/* ---- what is asked for ---- */

static bool read_number(struct bytes text, uint64_t *number)
{
    if (text.size == 0 || text.size > 9)
        return false;
    *number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *number = *number * 10 + (text.data[i] - '0');
    }
    return true;
}

static bool read_filter(struct listing *listing)
{
    struct call *call = listing->call;
    struct bytes name = call_parameter(call, "name");
    char fault[200], text[PATTERN_BYTES_MAX];
    if (name.size == 0)
        return true;
    struct filter *filter = mem_zalloc(sizeof(*filter));
    listing->filter = filter;
    filter->is_pattern = call_is_set(call, "use_regex");
    if (!filter->is_pattern) {
        size_t size = name.size < sizeof(filter->lower) ? name.size : sizeof(filter->lower);
        lower(filter->lower, name, size);
        filter->text = bytes_of(filter->lower, size);
        return true;
    }
    int size = snprintf(text, sizeof(text), "(?i)%.*s", BYTES_ARG(name));
    if (size >= (int)sizeof(text))
        call_fail(call, 400, "bad_request", "the pattern is too long");
    else if (!pattern_init(&filter->pattern, bytes_of(text, (size_t)size), fault, sizeof(fault)))
        call_fail(call, 400, "bad_request", "name is no pattern: %s", fault);
    return call->status == 0;
}

static bool read_page(struct listing *listing)
{
    struct call *call = listing->call;
    struct bytes page = call_parameter(call, "page"), size = call_parameter(call, "page_size");
    if (!listing->kind->has_pages || page.size == 0)
        return true;
    listing->has_pages = true;
    listing->page_size = PAGE_SIZE;
    if (read_number(page, &listing->page) && listing->page >= 1 &&
        (size.size == 0 || (read_number(size, &listing->page_size) && listing->page_size >= 1 &&
                            listing->page_size <= PAGE_SIZE_MAX)))
        return read_filter(listing);
    call_fail(call, 400, "invalid_pagination_parameters",
              "Invalid pagination parameters: page number %.*s, page size %.*s", BYTES_ARG(page),
              BYTES_ARG(size.size ? size : bytes_str("100")));
    return false;
}

static bool read_sort(struct listing *listing)
{
    struct call *call = listing->call;
    if (columns_read(&listing->sort, call_parameter(call, "sort")) && listing->sort.count <= 1)
        return true;
    call_fail(call, 400, "bad_request", "sort is no name of a field, nor a path of names");
    return false;
}

struct listing *call_list(struct call *call, const struct listing_kind *kind, struct vhost *only)
{
    struct listing *listing = mem_zalloc(sizeof(*listing));
    listing->kind = kind;
    listing->call = call;
    listing->only = only;
    call->listing = listing;
    if (!call->is_export && (!read_sort(listing) || !read_page(listing)))
        return listing;
    listing->order.is_reversed = listing->sort.count && call_is_set(call, "sort_reverse");
    if (listing->has_pages && listing->page <= ORDER_LIMIT_MAX / listing->page_size)
        listing->order.limit = listing->page * listing->page_size;
    choose_vhosts(listing, only);
    call->state = CALL_LISTS;
    call->status = 200;
    return listing;
}

void call_list_in(struct call *call, const struct listing_kind *kind)
{
    struct vhost *only = call->segments[0].data ? call_vhost(call, true) : NULL;
    if (!call->status)
        call_list(call, kind, only);
}

void listing_free(struct listing *listing)
{
    if (!listing)
        return;
    for (size_t i = 0; i < listing->vhost_count; i++)
        listing->vhosts[i]->holders--;
    mem_free(listing->vhosts);
    if (listing->filter)
        pattern_free(&listing->filter->pattern);
    mem_free(listing->filter);
    order_free(&listing->order);
    server_walk_free(&listing->walk);
    buffer_free(&listing->scratch);
    mem_free(listing);
}

/* ---- piece by piece ---- */

/* What comes before the items. False: there is no such page, and the call is answered. */
static bool begin(struct listing *listing, struct buffer *body)
{
    struct call *call = listing->call;
    struct fields fields = fields_of(body, NULL);
    buffer_add(body, call->body.data, call->body.size);
    call->body.size = 0;
    if (!listing->has_pages) {
        listing->left = listing->filtered;
        fields_begin(&fields, '[');
        return true;
    }
    uint64_t pages = (listing->filtered + listing->page_size - 1) / listing->page_size;
    if (listing->page > (pages ? pages : 1)) {
        call_fail(listing->call, 400, "page_out_of_range",
                  "Page out of range, page: %llu page size: %llu, len: %llu",
                  (unsigned long long)listing->page, (unsigned long long)listing->page_size,
                  (unsigned long long)listing->filtered);
        return false;
    }
    uint64_t before = (listing->page - 1) * listing->page_size;
    listing->left = listing->filtered - before;
    if (listing->left > listing->page_size)
        listing->left = listing->page_size;
    fields_begin(&fields, '{');
    fields_whole(&fields, "filtered_count", listing->filtered);
    fields_whole(&fields, "item_count", listing->left);
    fields_whole(&fields, "page", listing->page);
    fields_whole(&fields, "page_count", pages);
    fields_whole(&fields, "page_size", listing->page_size);
    fields_whole(&fields, "total_count", listing->total);
    fields_open(&fields, "items", '[');
    return true;
}

/* Items before the page are passed over. */
static void pass_over(struct listing *listing, struct budget *budget)
{
    struct bytes id;
    uint64_t before = listing->has_pages ? (listing->page - 1) * listing->page_size : 0;
    for (; listing->at < before && !budget_is_spent(budget); listing->at++) {
        order_take(&listing->order, &id);
        budget_use(budget, TAKE_STEPS);
    }
}

static void write_item(struct listing *listing, struct bytes id, struct buffer *body)
{
    size_t before = body->size;
    if (!listing->is_first)
        buffer_add(body, ",", 1);
    struct fields fields = fields_of(body, &listing->call->columns);
    fields.json.mends = !listing->call->is_export;
    if (listing->kind->write(listing, id, &fields) && !fields.json.is_bad)
        listing->is_first = false;
    else
        body->size = before;
}

static void write_items(struct listing *listing, struct buffer *body, struct budget *budget)
{
    struct bytes id;
    while (listing->left && body->size < PIECE_BYTES && !budget_is_spent(budget)) {
        size_t before = body->size;
        if (!order_take(&listing->order, &id))
            break;
        listing->left--;
        write_item(listing, id, body);
        budget_use(budget, TAKE_STEPS + listing->kind->steps +
                               (body->size - before) / BYTES_PER_STEP);
    }
}

static void collect(struct listing *listing, struct budget *budget)
{
    uint64_t total = listing->total;
    uint32_t steps = COLLECT_STEPS;
    if (listing->filter)
        steps += FILTER_STEPS;
    if (listing->sort.count)
        steps += listing->kind->steps;
    while (!budget_is_spent(budget)) {
        if (!listing->kind->collect(listing, budget)) {
            listing->state = LISTING_WRITES;
            listing->is_first = true;
            listing->at = 0;
            return;
        }
        budget_use(budget, 1 + (listing->total - total) * steps);
        total = listing->total;
    }
}

enum http_progress listing_go_on(struct listing *listing, struct buffer *body,
                                 struct budget *budget)
{
    if (listing->state == LISTING_COLLECTS) {
        collect(listing, budget);
        if (listing->state == LISTING_COLLECTS)
            return HTTP_MORE;
        if (!begin(listing, body))
            return HTTP_ENDS;
    }
    pass_over(listing, budget);
    write_items(listing, body, budget);
    if (listing->left && listing->order.count)
        return HTTP_MORE;
    buffer_add(body, listing->has_pages ? "]}" : "]", listing->has_pages ? 2 : 1);
    return HTTP_ENDS;
}
