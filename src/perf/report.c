/* Reports are a list of figures, printed in one of two ways. */
#include "perf/report.h"

#include <inttypes.h>

void report_add(struct report *report, const char *name, const char *label, double value,
                const char *unit, int digits)
{
    if (report->figure_count < FIGURES_MAX)
        report->figures[report->figure_count++] =
            (struct figure){report->part ? report->part : "", name, label, value, unit, digits};
}

#define DISTRIBUTION(key, text)                                                                    \
    {                                                                                              \
        {key "_p50_ms", text " p50"}, {key "_p90_ms", text " p90"}, {key "_p99_ms", text " p99"},  \
            {key "_p999_ms", text " p99.9"}, {key "_p9999_ms", text " p99.99"},                    \
            {key "_max_ms", text " max"}, {key "_mean_ms", text " mean"},                          \
    }

enum { SHARES = 6, DISTRIBUTION_ROWS = SHARES + 1 };

static const double shares[SHARES] = {0.5, 0.9, 0.99, 0.999, 0.9999, 1};

static const char *const latency_names[DISTRIBUTION_ROWS][2] = DISTRIBUTION("latency", "latency");
static const char *const confirm_names[DISTRIBUTION_ROWS][2] = DISTRIBUTION("confirm", "confirm");
static const char *const lateness_names[DISTRIBUTION_ROWS][2] =
    DISTRIBUTION("generator_lateness", "generator late");
static const char *const operation_names[DISTRIBUTION_ROWS][2] = DISTRIBUTION("round", "round");

static void add_distribution(struct report *report, const char *const names[DISTRIBUTION_ROWS][2],
                             const struct histogram *histogram)
{
    if (histogram_count(histogram) == 0)
        return;
    for (unsigned i = 0; i < SHARES; i++)
        report_add(report, names[i][0], names[i][1],
                   (double)histogram_quantile(histogram, shares[i]) / 1e6, "ms", 3);
    report_add(report, names[SHARES][0], names[SHARES][1], histogram_mean(histogram) / 1e6, "ms",
               3);
}

void report_add_rounds(struct report *report, const struct histogram *histogram)
{
    add_distribution(report, operation_names, histogram);
}

/* Nothing that was not asked for is listed. */
static void add_if(struct report *report, const char *name, const char *label, uint64_t value)
{
    if (value)
        report_add(report, name, label, (double)value, "", 0);
}

static void add_counts(struct report *report, const struct options *options,
                       const struct load_result *result)
{
    if (result->producers)
        report_add(report, "published", "published", (double)result->published, "", 0);
    if (options->confirm && result->producers)
        report_add(report, "confirmed", "confirmed", (double)result->confirmed, "", 0);
    if (result->consumers)
        report_add(report, "consumed", "consumed", (double)result->consumed, "", 0);
    if (options->verify && result->consumers)
        report_add(report, "verified", "verified once", (double)result->unique, "", 0);
    add_if(report, "refused", "refused", result->refused);
    add_if(report, "returned", "returned", result->returned);
    add_if(report, "repeated", "repeated", result->repeated);
    add_if(report, "missing", "missing", result->missing);
    add_if(report, "duplicates", "duplicates", result->duplicates);
    add_if(report, "disordered", "out of order", result->disordered);
    add_if(report, "damaged", "damaged", result->damaged);
    add_if(report, "reconnects", "reconnects", result->reconnects);
}

static void add_rates(struct report *report, const struct load_result *result)
{
    if (result->producers && result->publish_s > 0) {
        report_add(report, "publish_s", "publishing took", result->publish_s, "s", 3);
        report_add(report, "published_per_s", "published a second",
                   (double)result->published / result->publish_s, "", 0);
    }
    if (result->consumers && result->consume_s > 0) {
        report_add(report, "consume_s", "last message after", result->consume_s, "s", 3);
        report_add(report, "consumed_per_s", "consumed a second",
                   (double)result->consumed / result->consume_s, "", 0);
        report_add(report, "consumed_mib_per_s", "bodies consumed a second",
                   (double)result->consumed_bytes / result->consume_s / (1 << 20), "MiB", 1);
    }
    if (result->asked_rate > 0)
        report_add(report, "asked_per_s", "rate asked", result->asked_rate, "", 0);
}

static void add_usage(struct report *report, const struct load_result *result)
{
    uint64_t published = result->producers ? result->published : 0;
    uint64_t most = published > result->consumed ? published : result->consumed;
    uint64_t sides = published + result->consumed;
    if (sides == 0)
        return;
    report_add(report, "generator_us_per_message_side", "generator CPU a message and side",
               result->own_cpu_s * 1e6 / (double)sides, "us", 3);
    report_add(report, "generator_busy", "busiest thread of the generator",
               result->worker_busy * 100, "%", 0);
    if (!result->has_broker)
        return;
    report_add(report, "broker_us_per_message", "broker CPU a message",
               result->broker_cpu_s * 1e6 / (double)most, "us", 3);
    report_add(report, "broker_cpu_s", "broker CPU", result->broker_cpu_s, "s", 3);
    report_add(report, "broker_user_share", "of this in user mode", result->broker_user_share * 100,
               "%", 0);
    report_add(report, "broker_busy", "broker busy, of one core", result->broker_busy * 100, "%",
               0);
    report_add(report, "broker_rss_before_mib", "broker memory before",
               (double)result->broker_rss_before_bytes / (1 << 20), "MiB", 1);
    report_add(report, "broker_rss_mib", "broker memory after",
               (double)result->broker_rss_bytes / (1 << 20), "MiB", 1);
}

void report_add_load(struct report *report, const struct options *options,
                     const struct load_result *result)
{
    add_counts(report, options, result);
    add_rates(report, result);
    add_distribution(report, latency_names, &result->latency);
    add_distribution(report, confirm_names, &result->confirms);
    add_distribution(report, lateness_names, &result->lateness);
    add_usage(report, result);
    report_add_verdict(report, result);
}

void report_add_verdict(struct report *report, const struct load_result *result)
{
    for (unsigned i = 0; i < result->problem_count && report->problem_count < REPORT_PROBLEMS_MAX;
         i++)
        report->problems[report->problem_count++] = result->problems[i];
    if (result->saturated && !report->saturated)
        report->saturated = true;
}

/* ---- printing ---- */

/* A string of JSON; bytes below a space become spaces. */
static void print_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
    fputc('"', out);
}

static void print_json(const struct report *report, const struct options *options, FILE *out)
{
    fprintf(out, "{\"mode\": \"%s\"", mode_name(options->mode));
    for (unsigned i = 0; i < report->figure_count; i++) {
        const struct figure *figure = &report->figures[i];
        fprintf(out, ", \"%s%s%s\": %.*f", figure->part, *figure->part ? "_" : "", figure->name,
                figure->digits, figure->value);
    }
    fprintf(out, ", \"saturated\": %s, \"reached\": %s, \"problems\": [",
            report->saturated ? "true" : "false", report->problem_count ? "false" : "true");
    for (unsigned i = 0; i < report->problem_count; i++) {
        fputs(i ? ", " : "", out);
        print_string(report->problems[i], out);
    }
    fputs("]}\n", out);
}

/* Groups the digits of a whole number by three. */
static void print_value(const struct figure *figure, FILE *out)
{
    char digits[64];
    char text[96];
    size_t to = 0;
    int size = snprintf(digits, sizeof(digits), "%.*f", figure->digits, figure->value);
    int whole = figure->digits ? size - figure->digits - 1 : size;
    for (int i = 0; i < size; i++) {
        text[to++] = digits[i];
        if (i + 1 < whole && (whole - i - 1) % 3 == 0 && digits[i] != '-')
            text[to++] = ',';
    }
    text[to] = '\0';
    fprintf(out, "%16s %s", text, figure->unit);
}

void report_print(const struct report *report, const struct options *options, FILE *out)
{
    if (options->json) {
        print_json(report, options, out);
        return;
    }
    for (unsigned i = 0; i < report->figure_count; i++) {
        const struct figure *figure = &report->figures[i];
        char label[64];
        snprintf(label, sizeof(label), "%s%s%s", figure->part, *figure->part ? ": " : "",
                 figure->label);
        fprintf(out, "%-40s", label);
        print_value(figure, out);
        fputc('\n', out);
    }
    if (report->saturated)
        fputs("warning: generator saturated: it was slower than the broker\n", out);
    for (unsigned i = 0; i < report->problem_count; i++)
        fprintf(out, "not reached: %s\n", report->problems[i]);
}
