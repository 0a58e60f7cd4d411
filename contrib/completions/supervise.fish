# Completions of supervise(1) for fish: installed as share/fish/vendor_completions.d/supervise.fish.

# __supervise_command prints the words from the command of run on, or nothing where that has not begun.
function __supervise_command
    set -l words (commandline -opc)
    set -l i 3
    while set -q words[$i]
        switch $words[$i]
            case --
                set i (math $i + 1)
                break
            case '-*=*'
            case '-*'
                contains -- $words[$i] $__supervise_valued; and set i (math $i + 1)
            case '*'
                break
        end
        set i (math $i + 1)
    end
    test $i -gt (count $words); and test "$words[-1]" != --; and return 1
    string join \n -- $words[$i..]
    return 0
end

# __supervise_in says whether the words are those of such a command, and of run those before its own command.
function __supervise_in
    set -l words (commandline -opc)
    contains -- "$words[2]" $argv; or return
    test "$words[2]" != run; or not __supervise_command >/dev/null
end

# __supervise_given counts the words behind the name of the command that are no flags.
function __supervise_given
    count (string match -v -- '-*' (commandline -opc)[3..])
end

# __supervise_run completes the command of run, and what follows, by its own completion.
function __supervise_run
    set -l words (__supervise_command)
    complete --do-complete=(string join ' ' -- (string escape -- $words) (commandline -ct))
end

# __supervise_jobs lists the ids of the jobs that run, and their names.
function __supervise_jobs
    supervise list 2>/dev/null | string replace -rf '^ *(\S*/\S+) +(.*?)  .*' '$1\t$2'
end

complete -c supervise -f
complete -c supervise -n 'contains -- run (commandline -opc)[2]' -a '(__supervise_run)'
complete -c supervise -n '__supervise_in stat kill freeze thaw limit' -a '(__supervise_jobs)'
complete -c supervise -n '__supervise_in signal; and test (__supervise_given) -gt 0' -a '(__supervise_jobs)'
complete -c supervise -n '__supervise_in report' -F

# what go test ./cmd/supervise/internal/command -run TestCompletions -update writes
set -g __supervise_valued --timeout --cpu-timeout --grace --signal --leftovers --contain --cgroup --slice --scope --systemd-timeout --trace --name --property -p --resources --sample --samples --marks --record --owner --while-linked --memory-max --memory-high --memory-low --memory-min --swap-max --oom-group --cpus --cpu-weight --cpuset --cpuset-mems --pids-max --io-weight --io-max --set
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a run -d 'Run one command'
complete -c supervise -n '__supervise_in help' -a run -d 'Run one command'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a serve -d 'Run any number of jobs, by JSON-RPC'
complete -c supervise -n '__supervise_in help' -a serve -d 'Run any number of jobs, by JSON-RPC'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a list -d 'List the jobs that run, under any supervise'
complete -c supervise -n '__supervise_in help' -a list -d 'List the jobs that run, under any supervise'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a stat -d 'Tell what a job has used so far, its limits and its processes'
complete -c supervise -n '__supervise_in help' -a stat -d 'Tell what a job has used so far, its limits and its processes'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a signal -d 'Send a signal to a job'
complete -c supervise -n '__supervise_in help' -a signal -d 'Send a signal to a job'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a kill -d 'Kill every process of a job'
complete -c supervise -n '__supervise_in help' -a kill -d 'Kill every process of a job'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a freeze -d 'Stop every process of a job, until thaw'
complete -c supervise -n '__supervise_in help' -a freeze -d 'Stop every process of a job, until thaw'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a thaw -d 'Let a frozen job go on'
complete -c supervise -n '__supervise_in help' -a thaw -d 'Let a frozen job go on'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a limit -d 'Change limits of a job that runs'
complete -c supervise -n '__supervise_in help' -a limit -d 'Change limits of a job that runs'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a metrics -d 'Print numbers of all jobs, for Prometheus'
complete -c supervise -n '__supervise_in help' -a metrics -d 'Print numbers of all jobs, for Prometheus'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a top -d 'Show the jobs live on the terminal'
complete -c supervise -n '__supervise_in help' -a top -d 'Show the jobs live on the terminal'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a report -d 'Make a page from records and samples'
complete -c supervise -n '__supervise_in help' -a report -d 'Make a page from records and samples'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a doctor -d 'Tell how a job would be held here, and why'
complete -c supervise -n '__supervise_in help' -a doctor -d 'Tell how a job would be held here, and why'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a version -d 'Print the version'
complete -c supervise -n '__supervise_in help' -a version -d 'Print the version'
complete -c supervise -n 'test (count (commandline -opc)) = 1' -a help -d 'Print a summary of the commands, or of the flags of one'
complete -c supervise -n '__supervise_in help' -a help -d 'Print a summary of the commands, or of the flags of one'
complete -c supervise -n '__supervise_in signal; and test (__supervise_given) = 0' -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'
complete -c supervise -n '__supervise_in run' -l timeout -x -d 'End the job D after its start, status 124'
complete -c supervise -n '__supervise_in run' -l cpu-timeout -x -d 'End the job when all its processes together have used D of processor time, status 124'
complete -c supervise -n '__supervise_in run' -l grace -x -d 'The time between the signal that begins such an end and the kill'
complete -c supervise -n '__supervise_in run' -l signal -xa 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS' -d 'The signal that begins the end, by name or number'
complete -c supervise -n '__supervise_in run' -l leftovers -xa 'kill wait fail' -d 'What becomes of processes that outlive the main process'
complete -c supervise -n '__supervise_in run' -l contain -xa 'auto cgroup subreaper' -d 'How the job is held'
complete -c supervise -n '__supervise_in run' -l cgroup -xa '(__fish_complete_directories)' -d 'Make the job'\''s cgroup below this one, an absolute path'
complete -c supervise -n '__supervise_in run' -l slice -x -d 'Put the job into a new scope of systemd'\''s, in this slice'
complete -c supervise -n '__supervise_in run' -l scope -xa 'new' -d 'Put the job into a new scope in the slice of the own unit'
complete -c supervise -n '__supervise_in run' -l systemd-timeout -x -d 'Wait so long for systemd, more than 0 and at most 1h, then do without'
complete -c supervise -n '__supervise_in run' -l trace -x -d 'Write what the main loop sees and does to the descriptor, a JSON object on each line'
complete -c supervise -n '__supervise_in run' -l no-guard -d 'Do without the guardian, a forked twin that ends the job if supervise is killed by SIGKILL'
complete -c supervise -n '__supervise_in run' -l name -x -d 'The name of the job'\''s cgroup, also in the record'
complete -c supervise -n '__supervise_in run' -l property -s p -xa 'MemoryMax= MemoryHigh= MemoryLow= MemoryMin= MemorySwapMax= CPUQuota= CPUWeight= AllowedCPUs= AllowedMemoryNodes= TasksMax= IOWeight= IOReadBandwidthMax= IOWriteBandwidthMax= IOReadIOPSMax= IOWriteIOPSMax= RuntimeMaxSec=' -d 'A limit by systemd'\''s name, as in MemoryMax=1G'
complete -c supervise -n '__supervise_in run' -l resources -rF -d 'Limits from an OCI document'
complete -c supervise -n '__supervise_in run' -l best-effort -d 'Go on where a limit cannot be had, and say so on standard error and in the record'
complete -c supervise -n '__supervise_in run' -l sample -x -d 'Look at what the job uses every D'
complete -c supervise -n '__supervise_in run' -l samples -rF -d 'Write what was seen there, a JSON object on each line'
complete -c supervise -n '__supervise_in run' -l marks -x -d 'Each line that arrives on the descriptor begins a phase, of which the record tells what it used'
complete -c supervise -n '__supervise_in run' -l record -rF -d 'Write the record, a JSON object, when nothing of the job is left'
complete -c supervise -n '__supervise_in run' -l summary -d 'Print the record for people on standard error'
complete -c supervise -n '__supervise_in run' -l progress -d 'Show on the last line of the terminal how long the job has run, and what it uses, anew every D (1s by default'
complete -c supervise -n '__supervise_in run' -l owner -xa 'parent' -d 'End the job when the other end of the descriptor is closed, or when the process that has started supervise ends'
complete -c supervise -n '__supervise_in run' -l while-linked -rF -d 'End the job when the file has no link left, so that removing it ends the job'
complete -c supervise -n '__supervise_in run' -l pty -d 'Run command on a terminal of its own, which supervise copies to and from standard input and output'
complete -c supervise -n '__supervise_in run' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in run' -l memory-max -x -d 'The most memory, page cache included'
complete -c supervise -n '__supervise_in run' -l memory-high -x -d 'Beyond it the job is slowed down, and its memory reclaimed'
complete -c supervise -n '__supervise_in run' -l memory-low -x -d 'Memory that is reclaimed only when there is no other'
complete -c supervise -n '__supervise_in run' -l memory-min -x -d 'Memory that is never reclaimed'
complete -c supervise -n '__supervise_in run' -l swap-max -x -d 'The most swap'
complete -c supervise -n '__supervise_in run' -l oom-group -xa 'yes no' -d 'Whether an OOM kill takes the whole job'
complete -c supervise -n '__supervise_in run' -l cpus -x -d 'So many CPUs'\'' worth of processor time, as in 1.5'
complete -c supervise -n '__supervise_in run' -l cpu-weight -x -d 'The share of processor time where others want some as well, 1 to 10000, or idle'
complete -c supervise -n '__supervise_in run' -l cpuset -x -d 'The CPUs that the job may use, by the kernel'\''s numbers, as in 0-3,8'
complete -c supervise -n '__supervise_in run' -l cpuset-mems -x -d 'The memory nodes (NUMA), the same way'
complete -c supervise -n '__supervise_in run' -l pids-max -x -d 'The most processes and threads'
complete -c supervise -n '__supervise_in run' -l io-weight -x -d 'The share of block I/O, 1 to 10000'
complete -c supervise -n '__supervise_in run' -l io-max -x -d 'Limits of a block device, which is MAJ:MIN, its path, or a file on it'
complete -c supervise -n '__supervise_in run' -l set -x -d 'Any other file of a controller, as in memory.zswap.max=0'
complete -c supervise -n '__supervise_in serve' -l contain -xa 'auto cgroup subreaper' -d 'How jobs are held'
complete -c supervise -n '__supervise_in serve' -l cgroup -xa '(__fish_complete_directories)' -d 'Make the jobs'\'' cgroups below this one, an absolute path'
complete -c supervise -n '__supervise_in serve' -l slice -x -d 'Put the jobs into a new scope of systemd'\''s, in this slice'
complete -c supervise -n '__supervise_in serve' -l scope -xa 'new' -d 'Put the jobs into a new scope in the slice of the own unit'
complete -c supervise -n '__supervise_in serve' -l systemd-timeout -x -d 'Wait so long for systemd, more than 0 and at most 1h, then do without'
complete -c supervise -n '__supervise_in serve' -l trace -x -d 'Write what the main loop sees and does to the descriptor, a JSON object on each line'
complete -c supervise -n '__supervise_in serve' -l no-guard -d 'Do without the guardian, a forked twin that ends the jobs if supervise is killed by SIGKILL'
complete -c supervise -n '__supervise_in serve' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in list' -l json -d 'Print one JSON object, supervise.list/1'
complete -c supervise -n '__supervise_in list' -l all -d 'List other users'\'' jobs as well, as far as they can be read'
complete -c supervise -n '__supervise_in list' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in stat' -l json -d 'Print one JSON object, supervise.stat/1'
complete -c supervise -n '__supervise_in stat' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in signal' -l all -d 'Send it to every process'
complete -c supervise -n '__supervise_in signal' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in kill' -l grace -x -d 'Send SIGTERM first, and give the job D to obey it'
complete -c supervise -n '__supervise_in kill' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in freeze' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in thaw' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in limit' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in limit' -l memory-max -x -d 'The most memory, page cache included'
complete -c supervise -n '__supervise_in limit' -l memory-high -x -d 'Beyond it the job is slowed down, and its memory reclaimed'
complete -c supervise -n '__supervise_in limit' -l memory-low -x -d 'Memory that is reclaimed only when there is no other'
complete -c supervise -n '__supervise_in limit' -l memory-min -x -d 'Memory that is never reclaimed'
complete -c supervise -n '__supervise_in limit' -l swap-max -x -d 'The most swap'
complete -c supervise -n '__supervise_in limit' -l oom-group -xa 'yes no' -d 'Whether an OOM kill takes the whole job'
complete -c supervise -n '__supervise_in limit' -l cpus -x -d 'So many CPUs'\'' worth of processor time, as in 1.5'
complete -c supervise -n '__supervise_in limit' -l cpu-weight -x -d 'The share of processor time where others want some as well, 1 to 10000, or idle'
complete -c supervise -n '__supervise_in limit' -l cpuset -x -d 'The CPUs that the job may use, by the kernel'\''s numbers, as in 0-3,8'
complete -c supervise -n '__supervise_in limit' -l cpuset-mems -x -d 'The memory nodes (NUMA), the same way'
complete -c supervise -n '__supervise_in limit' -l pids-max -x -d 'The most processes and threads'
complete -c supervise -n '__supervise_in limit' -l io-weight -x -d 'The share of block I/O, 1 to 10000'
complete -c supervise -n '__supervise_in limit' -l io-max -x -d 'Limits of a block device, which is MAJ:MIN, its path, or a file on it'
complete -c supervise -n '__supervise_in limit' -l set -x -d 'Any other file of a controller, as in memory.zswap.max=0'
complete -c supervise -n '__supervise_in metrics' -l openmetrics -d 'Print them as OpenMetrics 1.0 has it'
complete -c supervise -n '__supervise_in metrics' -l output -s o -rF -d 'Replace this file at once, as the textfile collector of node_exporter wants it'
complete -c supervise -n '__supervise_in metrics' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in top' -l all -d 'Also show jobs of other users, as far as they can be read'
complete -c supervise -n '__supervise_in top' -l every -x -d 'Take a reading every D, at least 100ms'
complete -c supervise -n '__supervise_in top' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in report' -l output -s o -rF -d 'Write to this file, which appears as a whole or not at all'
complete -c supervise -n '__supervise_in report' -l before -rF -d 'Compare with the jobs in this file or directory'
complete -c supervise -n '__supervise_in report' -l text -d 'Write a table and charts for a terminal'
complete -c supervise -n '__supervise_in report' -l svg -d 'Write the main chart alone, as SVG'
complete -c supervise -n '__supervise_in report' -l help -s h -d 'Print a summary of the flags'
complete -c supervise -n '__supervise_in doctor' -l json -d 'Print the same as one JSON object, supervise.doctor/1'
complete -c supervise -n '__supervise_in doctor' -l fix-plan -d 'Print a shell script of the commands that would repair this host'
complete -c supervise -n '__supervise_in doctor' -l help -s h -d 'Print a summary of the flags'
# the end of that
