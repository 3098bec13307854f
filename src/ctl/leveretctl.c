/* leveretctl, and what it is by other names: rabbitmqctl, rabbitmq-diagnostics, rabbitmq-queues,
 * rabbitmq-plugins, rabbitmq-upgrade, rabbitmq-streams, and rabbitmqadmin. */
#include <stdio.h>

#include "ctl/admin.h"
#include "ctl/command.h"
#include "ctl/exit.h"

int main(int argc, char **argv)
{
    static struct command command;
    int code;
    if (tool_of(argv[0]) == TOOL_ADMIN) {
        code = admin_main(argc, argv);
    } else {
        code = command_read(&command, argc, argv);
        if (code == 0 && command.verb)
            code = command_run(&command);
        command_close(&command);
    }
    if (fflush(stdout) != 0 && code == 0)
        code = EXIT_UNAVAILABLE;
    return code;
}
