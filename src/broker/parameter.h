/* Runtime parameters: values that operators set, of a virtual host, where each belongs to a component,
 * or of the broker as a whole (global). Nothing in here knows what they mean, but for the name of the
 * cluster, which is a global one. Limits of virtual hosts and operator policies, which are parameters
 * too where operators see them, are kept elsewhere. */
#ifndef LEVERET_BROKER_PARAMETER_H
#define LEVERET_BROKER_PARAMETER_H

#include "broker/vhost.h"

enum { PARAMETER_VALUE_MAX = 65536 };

struct parameter {
    uint8_t *value; /* terminated as well */
    size_t value_size;
    bool is_text; /* the value is this text; else it is written in JSON */
    size_t component_size, key_size;
    char key[]; /* the component, a NUL byte, and the name; or the name alone, of a global one */
};

/* Empty, of a global one. */
static inline struct bytes parameter_component(const struct parameter *parameter)
{
    return bytes_of(parameter->key, parameter->component_size);
}

static inline struct bytes parameter_name(const struct parameter *parameter)
{
    size_t before = parameter->component_size ? parameter->component_size + 1 : 0;
    return bytes_of(parameter->key + before, parameter->key_size - before);
}

static inline struct bytes parameter_value(const struct parameter *parameter)
{
    return bytes_of(parameter->value, parameter->value_size);
}

/* Which one: without a virtual host it is global, and has no component. */
struct parameter_name {
    struct bytes vhost, component, name;
    bool is_global;
};

/* NULL: there is none. */
const struct parameter *parameter_find(struct broker *broker, const struct parameter_name *name);
/* May there be parameters of this component? Of those that RabbitMQ's plugins have. */
bool parameter_has_component(struct bytes component);
/* The global parameter `cluster_name`, or `otherwise`. */
struct bytes parameter_cluster_name(const struct broker *broker, const char *otherwise);

/* ---- changes: decided here, and applied; false, with the error, for what cannot be ---- */

struct parameter_request {
    struct parameter_name name;
    struct bytes value; /* as struct parameter has it */
    bool is_text;
};

/* 404 `no vhost 'v'`; 406 `component c not found`, or what is wrong with the name or the value. */
bool parameter_set_decide(struct broker *broker, const struct parameter_request *request,
                          struct changes *changes, struct error *error);
bool parameter_set(struct broker *broker, const struct parameter_request *request,
                   struct error *error);
/* 404 if there is none. */
bool parameter_delete_decide(struct broker *broker, const struct parameter_name *name,
                             struct changes *changes, struct error *error);
bool parameter_delete(struct broker *broker, const struct parameter_name *name,
                      struct error *error);
/* The end of some of a virtual host; false: there are none. */
bool parameters_clear_decide(const struct vhost *vhost, struct changes *changes);

/* ---- for the model ---- */

void parameter_apply(struct map *parameters, const struct change *change);
/* Frees the map with all that is in it. */
void parameters_free(struct map *parameters);

#endif
