#include "remarks.h"

#include "base/log_line.h"

/* What is said and does nothing is one remark for all such keys. */
void remarks_add(struct config *config)
{
    char keys[LOG_LINE_MAX - 200];
    if (config_write_idle(config, OPTION_NOT_YET, keys, sizeof(keys)))
        config_warn(config, "configuration",
                    "these keys are of things that are not there yet, and have no effect: %s",
                    keys);
    if (config_write_idle(config, OPTION_FOREIGN, keys, sizeof(keys)))
        config_warn(config, "configuration",
                    "these keys are about how RabbitMQ is made, and have no meaning here: %s",
                    keys);
}

bool remarks_log(const struct log *log, const struct config *config)
{
    list_for_each(link, &config->remarks) {
        const struct config_remark *remark = list_entry(link, struct config_remark, link);
        log_event(log, remark->is_fault ? EVENT_config_wrong : EVENT_config_remark,
                  "at=%s reason=%s", remark->origin, remark->reason);
    }
    if (config->faults)
        log_event(log, EVENT_cannot_start,
                  "reason=\"%zu settings of the configuration cannot be; the lines before say "
                  "which\"",
                  config->faults);
    return !config->faults;
}

bool remarks_print(const struct config *config)
{
    list_for_each(link, &config->remarks) {
        const struct config_remark *remark = list_entry(link, struct config_remark, link);
        fprintf(remark->is_fault ? stderr : stdout, "%s: %s: %s\n",
                remark->is_fault ? "wrong" : "remark", remark->origin, remark->reason);
    }
    if (config->faults > CONFIG_REMARKS_MAX)
        fprintf(stderr, "wrong: so much in all: %zu\n", config->faults);
    return !config->faults;
}
