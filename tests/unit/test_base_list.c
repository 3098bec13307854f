/* The intrusive list, against a plain array. */
#include "base/list.h"

#include <string.h>

#include "base/random.h"
#include "tests/lib/tap.h"

enum { NODES = 40 };

struct node {
    int number;
    struct list link;
};

/* The list holds exactly these numbers, read in both directions. */
static bool holds(const struct list *head, const int *numbers, int count)
{
    int i = 0;
    list_for_each(at, head) if (i >= count || list_entry(at, struct node, link)->number !=
                                                  numbers[i++]) return false;
    if (i != count)
        return false;
    for (const struct list *at = head->prev; at != head; at = at->prev)
        if (list_entry(at, struct node, link)->number != numbers[--i])
            return false;
    return i == 0 && list_is_empty(head) == (count == 0);
}

static int position(const int *numbers, int count, int number)
{
    for (int i = 0; i < count; i++)
        if (numbers[i] == number)
            return i;
    return -1;
}

static void drop(int *numbers, int *count, int at)
{
    memmove(numbers + at, numbers + at + 1, (size_t)(*count - at - 1) * sizeof(*numbers));
    --*count;
}

TEST(random_steps_as_a_plain_array_does)
{
    struct random random;
    random_init(&random, 1);
    struct node nodes[NODES];
    struct list head;
    int numbers[NODES], count = 0;
    bool same = true;
    list_init(&head);
    for (int i = 0; i < NODES; i++) {
        nodes[i].number = i;
        list_init(&nodes[i].link);
    }
    for (int step = 0; step < 20000; step++) {
        int which = (int)random_below(&random, NODES);
        int at = position(numbers, count, which);
        if (at >= 0) {
            list_remove(&nodes[which].link);
            drop(numbers, &count, at);
        } else if (random_below(&random, 2)) {
            list_push_back(&head, &nodes[which].link);
            numbers[count++] = which;
        } else {
            list_push_front(&head, &nodes[which].link);
            memmove(numbers + 1, numbers, (size_t)count++ * sizeof(*numbers));
            numbers[0] = which;
        }
        same = same && holds(&head, numbers, count);
    }
    ok(same, "20,000 steps agree");
}

TEST(an_element_on_no_list_may_be_removed)
{
    struct node node = {.number = 1};
    list_init(&node.link);
    list_remove(&node.link);
    list_remove(&node.link);
    ok(list_is_empty(&node.link), "as often as one likes");
}

TEST(first_and_take_first)
{
    struct list head;
    list_init(&head);
    ok(list_first(&head) == NULL && list_take_first(&head) == NULL, "an empty list has none");
    struct node nodes[2] = {{.number = 0}, {.number = 1}};
    list_push_back(&head, &nodes[0].link);
    list_insert_after(&nodes[0].link, &nodes[1].link);
    ok(list_first(&head) == &nodes[0].link, "the first");
    ok(list_take_first(&head) == &nodes[0].link, "is taken");
    ok(list_is_empty(&nodes[0].link), "and is on no list");
    ok(list_take_first(&head) == &nodes[1].link, "then the second");
    ok(list_is_empty(&head), "then there is none");
}

TEST(appending_all)
{
    struct list to, from;
    struct node nodes[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&to);
    list_init(&from);
    list_append_all(&to, &from);
    ok(holds(&to, NULL, 0) && holds(&from, NULL, 0), "nothing to nothing");
    list_push_back(&from, &nodes[0].link);
    list_push_back(&from, &nodes[1].link);
    list_append_all(&to, &from);
    ok(holds(&to, (int[]){0, 1}, 2) && holds(&from, NULL, 0), "two to nothing");
    list_push_back(&from, &nodes[2].link);
    list_push_back(&from, &nodes[3].link);
    list_append_all(&to, &from);
    ok(holds(&to, (int[]){0, 1, 2, 3}, 4) && holds(&from, NULL, 0), "two to two");
    list_append_all(&to, &from);
    ok(holds(&to, (int[]){0, 1, 2, 3}, 4), "nothing to four");
}

TEST(the_body_of_a_safe_walk_may_remove)
{
    struct list head;
    struct node nodes[6];
    list_init(&head);
    for (int i = 0; i < 6; i++) {
        nodes[i].number = i;
        list_push_back(&head, &nodes[i].link);
    }
    list_for_each_safe(at, after, &head) if (list_entry(at, struct node, link)->number % 2)
        list_remove(at);
    ok(holds(&head, (int[]){0, 2, 4}, 3), "every other one");
}

int main(void)
{
    RUN(random_steps_as_a_plain_array_does);
    RUN(an_element_on_no_list_may_be_removed);
    RUN(first_and_take_first);
    RUN(appending_all);
    RUN(the_body_of_a_safe_walk_may_remove);
    return done();
}
