/* By PCRE2's interpreter, which counts its steps; what is compiled to machine code does not count
 * all of them. */
#include "broker/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#include "base/mem.h"
#include "broker/name.h"

/* What one match may do: steps (about a tenth of a millisecond for 5,000), frames, and their KiB.
 */
enum { STEPS_MAX = 5000, DEPTH_MAX = 500, HEAP_KIB_MAX = 256, NESTING_MAX = 50 };

/* Most matches end within so many steps; and what of a budget these take, or all. */
enum { FEW_STEPS = 200, BUDGET_OF_FEW = 50, BUDGET_OF_ALL = 10000 };

struct pattern_code {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

static bool refuse(struct bytes text, const char *why, size_t at, char *fault, size_t fault_size)
{
    snprintf(fault, fault_size, "invalid regular expression '%.*s': %s at offset %zu",
             text.size < 200 ? (int)text.size : 200, (const char *)text.data, why, at);
    return false;
}

static void *allocate(size_t size, void *context)
{
    (void)context;
    return mem_alloc(size);
}

static void release(void *memory, void *context)
{
    (void)context;
    mem_free(memory);
}

static pcre2_code *compile(struct bytes text, int *error, size_t *at)
{
    const uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_NEVER_BACKSLASH_C;
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    pcre2_set_max_pattern_length(context, PATTERN_BYTES_MAX);
    pcre2_set_parens_nest_limit(context, NESTING_MAX);
    const uint8_t *data = text.data ? text.data : (const uint8_t *)"";
    pcre2_code *code = pcre2_compile(data, text.size, options, error, at, context);
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    return code;
}

static struct pattern_code *code_new(pcre2_code *compiled)
{
    struct pattern_code *code = mem_alloc(sizeof(*code));
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    code->code = compiled;
    code->match = pcre2_match_data_create(1, memory);
    code->limits = pcre2_match_context_create(memory);
    pcre2_general_context_free(memory);
    pcre2_set_depth_limit(code->limits, DEPTH_MAX);
    pcre2_set_heap_limit(code->limits, HEAP_KIB_MAX);
    return code;
}

bool pattern_init(struct pattern *pattern, struct bytes text, char *fault, size_t fault_size)
{
    int error = 0;
    size_t at = 0;
    *pattern = (struct pattern){.size = text.size, .text = text_copy(text)};
    if (text.size == 0 || bytes_equal_str(text, "^$"))
        pattern->kind = PATTERN_EMPTY;
    else if (bytes_equal_str(text, ".*"))
        pattern->kind = PATTERN_EVERYTHING;
    if (pattern->kind != PATTERN_NOTHING)
        return true;
    pcre2_code *compiled = compile(text, &error, &at);
    if (!compiled) {
        char why[160] = "it is none";
        pcre2_get_error_message(error, (PCRE2_UCHAR *)why, sizeof(why));
        return refuse(text, why, at, fault, fault_size);
    }
    pattern->kind = PATTERN_CODE;
    pattern->code = code_new(compiled);
    return true;
}

void pattern_free(struct pattern *pattern)
{
    if (pattern->code) {
        pcre2_code_free(pattern->code->code);
        pcre2_match_data_free(pattern->code->match);
        pcre2_match_context_free(pattern->code->limits);
        mem_free(pattern->code);
    }
    mem_free(pattern->text);
    *pattern = (struct pattern){0};
}

/* What pcre2_match says: not negative if it does. */
static int match(const struct pattern_code *code, struct bytes name, uint32_t steps)
{
    const uint8_t *data = name.data ? name.data : (const uint8_t *)"";
    pcre2_set_match_limit(code->limits, steps);
    return pcre2_match(code->code, data, name.size, 0, 0, code->match, code->limits);
}

static bool matches_code(const struct pattern_code *code, struct bytes name, struct budget *budget)
{
    int result = match(code, name, FEW_STEPS);
    budget_use(budget, BUDGET_OF_FEW);
    if (result != PCRE2_ERROR_MATCHLIMIT)
        return result >= 0;
    budget_use(budget, BUDGET_OF_ALL);
    return match(code, name, STEPS_MAX) >= 0;
}

bool pattern_matches(const struct pattern *pattern, struct bytes name)
{
    struct budget budget = {0};
    return pattern_matches_within(pattern, name, &budget);
}

bool pattern_matches_within(const struct pattern *pattern, struct bytes name, struct budget *budget)
{
    switch (pattern->kind) {
    case PATTERN_EVERYTHING:
        return true;
    case PATTERN_EMPTY:
        return name.size == 0;
    case PATTERN_CODE:
        return matches_code(pattern->code, name, budget);
    default:
        return false;
    }
}
