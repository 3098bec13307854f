complete -c leveretctl -f -a '(leveretctl autocomplete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
