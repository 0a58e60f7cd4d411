package main

import "fmt"

const helpText = `Supervise runs commands so that nothing they start can outlive them.

  supervise run [flags] [--] command [args]   run one command
  supervise serve [flags]                     any number of jobs, by JSON-RPC
  supervise                                   speak the binary protocol on
                                              descriptors 0 and 1
  supervise CONTROLFD STATUSFD command [args] speak the text protocol of
                                              catern/supervise up to 1.4
  supervise doctor [--json]                   which containment this place gives
  supervise version                           print the version
  supervise help [command]                    this text, or more about a command

  supervise run -- make -j8                   nothing is left of it
  supervise run --timeout 10m -- ./test.sh    and it ends in time
`

const helpRun = `usage: supervise run [flags] [--] command [args]

Runs a command and passes on its standard streams, its signals and its exit
status. When it ends, or supervise does, whatever it has started is killed.

  --timeout D          end the job after D (90, 1m30s, 500ms)
  --cpu-timeout D      end the job when all of it has used so much processor time
  --grace D            time between the signal and the kill then (default 10s);
                       if given, SIGTERM to supervise starts it as well
  --signal S           the signal that begins the end (default TERM)
  --leftovers MODE     processes that outlive the command: kill (default), wait
                       for them, or fail (kill, name them, exit 125)
  --contain MODE       cgroup, subreaper, or auto (default): cgroup if it can be
  --cgroup PATH        make the job's cgroup below this one
  --slice SLICE        a new scope of systemd's, in this slice
  --scope new          the same, in the slice of our own unit: leave what limits
                       our own cgroup; what ends that still ends the job
  --systemd-timeout D  wait so long for systemd (default 5s), then do without
  --trace fd:N         write what the loop sees and does to descriptor N, a JSON
                       line each
  --name NAME          of the job, for its cgroup and record
  --memory-max SIZE    and --memory-high, --memory-low, --memory-min, --swap-max
                       (default 0 if memory is limited), --oom-group no,
  --cpus N             (1.5) and --cpu-weight, --cpuset 0-3, --cpuset-mems,
  --pids-max N         --io-weight, --io-max DEV,rbps=1M, --set FILE=VALUE: limit
                       the job; sizes with K, M, G, T or %
  --property P=V, -p   the same by systemd's names: -p MemoryMax=1G
  --resources FILE     the same from an OCI document: LinuxResources, config.json
  --best-effort        go on, and say so, where a limit cannot be had
  --sample D           look at what the job uses every D (default 1s)
  --samples FILE       and write it there, a JSON line each; also fd:N
  --marks fd:N         each line read from descriptor N begins a phase, of which the
                       record tells what it used
  --record FILE        write a JSON record at the end; also fd:N, or - for stdout
  --summary            print the record for people on stderr
  --owner fd:N         end the job when the other end of descriptor N closes
  --owner parent       or when the process that started supervise ends
  --while-linked FILE  end the job when FILE has no link left: rm FILE ends it
  --no-guard           do without the guardian: then kill -9 on supervise leaks

A command of the same user can stop or kill supervise and its guardian together,
and write to its own cgroup. One that you do not trust needs another user, or:
  supervise run -- bwrap --dev-bind / / --unshare-user --unshare-pid --proc /proc \
    --ro-bind /sys /sys --die-with-parent -- ./job

At the prompt of a shell the command has the terminal, as without supervise. In a
script, in a pipeline and below a program it shares it, and takes it from nobody.
A limit that is too tight for supervise itself is for the command to have:
supervise run -- prlimit --as=N --nproc=N --nofile=N COMMAND

exit status: the command's; 128+n if signal n ended it, 124 if a time was up,
127 if it was not found, 126 if it cannot be executed, 125 if supervise failed,
2 if it was misused.

  supervise run -- sh -c 'sleep 1000 & echo done'   the sleep ends with the sh
  supervise run --timeout 5s --grace 1s -- ./server
  supervise run --leftovers=fail -- make check
  supervise run --memory-max 2G --cpus 1.5 --pids-max 500 -- ./judge
  supervise run --record job.json --summary -- ./batch.sh
  supervise run -- nice -n 10 env -C /tmp A=b ./job
`

const helpServe = `usage: supervise serve [flags]

Runs jobs for an owner who asks for them by JSON-RPC 2.0, one message a line, on
standard input and output, or on a socket that is standard input. The owner hears
of all that happens to them. When the input ends, or supervise does, all jobs end.
The protocol is written down in protocol/SERVE.md; protocol/client is a client in
Go, contrib/python has one in Python.

  --contain MODE       cgroup, subreaper, or auto (default): cgroup if it can be
  --cgroup PATH        make the jobs' cgroups below this one
  --slice SLICE        a new scope of systemd's, in this slice
  --scope new          the same, in the slice of our own unit: leave what limits
                       our own cgroup; what ends that still ends the jobs
  --systemd-timeout D  wait so long for systemd (default 5s), then do without
  --trace fd:N         write what the loop sees and does to descriptor N, a JSON
                       line each
  --no-guard           do without the guardian: then kill -9 on supervise leaks

A job has no terminal, and cannot open /dev/tty. For passwords tell ssh
-o BatchMode=yes, or SSH_ASKPASS=PROGRAM and SSH_ASKPASS_REQUIRE=force; sudo -n,
-S, or -A and SUDO_ASKPASS=PROGRAM; gpg --batch --pinentry-mode loopback
--passphrase-fd N, or GPG_TTY. Or use "supervise run".

exit status: 0 when all was told; 1 if the owner hung up before that; 125 if
supervise failed, 2 if it was misused.

  (echo '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"versions":[1]}}'
   echo '{"jsonrpc":"2.0","id":2,"method":"spawn","params":{"argv":["uptime"]}}'
   cat) | supervise serve                     # Ctrl-D ends it
`

const helpDoctor = `usage: supervise doctor [--json]

Says how "supervise run" would hold a job here, and why: every cgroup from the
mount down to where jobs go, who owns it and where each controller stops; what
the kernel offers, by trying it in a cgroup that is removed again; whether
systemd can be reached; and how to remove each shortcoming on this machine.
Nothing is changed and nothing is left behind.

  --json               the same facts as one JSON object, supervise.doctor/1
                       (go doc ./protocol Diagnosis explains its fields)

In the table of cgroups, "on" is a controller that is handed on to the cgroups
below, "stops" one that is there and is not, and "-" one that is not there; in
the last row, where jobs go or would go, "yes" is one that they can have.

exit status: 0 if a job would be held in a cgroup, 1 if not, 125 if supervise
failed, 2 if it was misused.

  supervise doctor || echo "no cgroups here: jobs are held by descent alone"
  supervise doctor --json | jq -r '.fixes[].advice'
`

// helpTexts are the texts by command; "" is the overview.
var helpTexts = map[string]string{"": helpText, "run": helpRun, "serve": helpServe, "doctor": helpDoctor}

// help prints a text to stdout.
func help(topic string) (status int) {
	fmt.Print(helpTexts[topic])
	return 0
}
