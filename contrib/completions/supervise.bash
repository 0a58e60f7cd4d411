# Completions of supervise(1) for bash 4.1 or later: installed as share/bash-completion/completions/supervise, or sourced.

# _supervise_flags lists the flags of a command. One that has a value is --flag=VALUE, where that is words with | between
# them, FILE or DIRECTORY, or nothing.
_supervise_flags() {
	case $1 in
# what go test ./cmd/supervise/internal/command -run TestCompletions -update writes
	run) echo '--timeout= --cpu-timeout= --grace= --signal=HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT|STOP|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|PWR|SYS --leftovers=kill|wait|fail --contain=auto|cgroup|subreaper --cgroup=DIRECTORY --slice= --scope=new --systemd-timeout= --trace= --no-guard --name= --property=MemoryMax=|MemoryHigh=|MemoryLow=|MemoryMin=|MemorySwapMax=|CPUQuota=|CPUWeight=|AllowedCPUs=|AllowedMemoryNodes=|TasksMax=|IOWeight=|IOReadBandwidthMax=|IOWriteBandwidthMax=|IOReadIOPSMax=|IOWriteIOPSMax=|RuntimeMaxSec= -p=MemoryMax=|MemoryHigh=|MemoryLow=|MemoryMin=|MemorySwapMax=|CPUQuota=|CPUWeight=|AllowedCPUs=|AllowedMemoryNodes=|TasksMax=|IOWeight=|IOReadBandwidthMax=|IOWriteBandwidthMax=|IOReadIOPSMax=|IOWriteIOPSMax=|RuntimeMaxSec= --resources=FILE --best-effort --sample= --samples=FILE --marks= --record=FILE --summary --progress --owner=parent --while-linked=FILE --pty --help -h --memory-max= --memory-high= --memory-low= --memory-min= --swap-max= --oom-group=yes|no --cpus= --cpu-weight= --cpuset= --cpuset-mems= --pids-max= --io-weight= --io-max= --set=' ;;
	serve) echo '--contain=auto|cgroup|subreaper --cgroup=DIRECTORY --slice= --scope=new --systemd-timeout= --trace= --no-guard --help -h' ;;
	list) echo '--json --all --help -h' ;;
	stat) echo '--json --help -h' ;;
	signal) echo '--all --help -h' ;;
	kill) echo '--grace= --help -h' ;;
	freeze) echo '--help -h' ;;
	thaw) echo '--help -h' ;;
	limit) echo '--help -h --memory-max= --memory-high= --memory-low= --memory-min= --swap-max= --oom-group=yes|no --cpus= --cpu-weight= --cpuset= --cpuset-mems= --pids-max= --io-weight= --io-max= --set=' ;;
	metrics) echo '--openmetrics --output=FILE -o=FILE --help -h' ;;
	top) echo '--all --every= --help -h' ;;
	report) echo '--output=FILE -o=FILE --before=FILE --text --svg --help -h' ;;
	doctor) echo '--json --fix-plan --help -h' ;;
	signals) echo 'HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|CHLD|CONT|STOP|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|PWR|SYS' ;;
	'') echo 'run|serve|list|stat|signal|kill|freeze|thaw|limit|metrics|top|report|doctor|version|help' ;;
# the end of that
	esac
}

# _supervise_value completes a value of one of these kinds. Readline would put it behind a = or : in the value.
_supervise_value() {
	local IFS=$'\n'
	[[ $2 != *[=:]* ]] || return
	case $1 in
	FILE) compopt -o filenames; COMPREPLY=($(compgen -f -- "$2")) ;;
	DIRECTORY) compopt -o filenames; COMPREPLY=($(compgen -d -- "$2")) ;;
	*=*) compopt -o nospace ;&
	*) COMPREPLY=($(compgen -W "${1//|/$'\n'}" -- "$2")) ;;
	esac
}

# _supervise_jobs completes the id of a job that runs.
_supervise_jobs() {
	local id rest
	while read -r id rest; do
		[[ $id != "$1"* ]] || COMPREPLY+=("$(printf %q "$id")")
	done < <(supervise list 2>/dev/null | tail -n +2)
}

# _supervise_command completes the command at a place in COMP_WORDS, and what follows, by its own completion.
_supervise_command() {
	if declare -F _comp_command_offset >/dev/null; then
		_comp_command_offset "$1"
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif (($1 == COMP_CWORD)); then
		COMPREPLY=($(compgen -c -- "${COMP_WORDS[COMP_CWORD]}"))
	fi
}

_supervise() {
	# Readline makes three words of --flag=value and of fd:3, which here are one. Each has its place in COMP_WORDS.
	local words=() at=() i
	for ((i = 1; i <= COMP_CWORD; i++)); do
		if ((i > 1)) && [[ ${COMP_WORDS[i]} == [=:]* || ${COMP_WORDS[i - 1]} == [=:] ]]; then
			words[${#words[@]} - 1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}") at+=("$i")
		fi
	done
	local last=$((${#words[@]} - 1)) name=${words[0]} flags names flag='' given=()
	local word=${words[last]}
	COMPREPLY=()
	((last > 0)) || { _supervise_value "$(_supervise_flags '')" "$word"; return; }
	flags=$(_supervise_flags "$name")

	for ((i = 1; i < last; i++)); do
		case ${words[i]} in
		--) [[ $name != run ]] || { _supervise_command "${at[i + 1]}"; return; } ;;
		-*=*) ;;
		-*) [[ " $flags " != *" ${words[i]}="* ]] || { flag=${words[i]}; ((++i)); } ;;
		*) [[ $name != run ]] || { _supervise_command "${at[i]}"; return; }
			given+=("${words[i]}") ;;
		esac
	done
	if ((i == last)); then flag=''; fi
	if [[ -z $flag && $word == -*=* ]]; then flag=${word%%=*} word=${word#*=}; fi

	if [[ -n $flag ]]; then
		[[ ! " $flags " =~ " $flag="([^ ]*)" " ]] || _supervise_value "${BASH_REMATCH[1]}" "$word"
		return
	fi
	if [[ $word == -* ]]; then
		names=$(sed 's/=[^ ]*//g' <<<"$flags")
		COMPREPLY=($(compgen -W "$names" -- "$word"))
		return
	fi
	case $name in
	run) _supervise_command "${at[last]}" ;;
	signal) if ((${#given[@]})); then _supervise_jobs "$word"; else _supervise_value "$(_supervise_flags signals)" "$word"; fi ;;
	stat | kill | freeze | thaw | limit) _supervise_jobs "$word" ;;
	report) _supervise_value FILE "$word" ;;
	help) _supervise_value "$(_supervise_flags '')" "$word" ;;
	esac
}

complete -F _supervise supervise
