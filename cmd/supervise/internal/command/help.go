package command

import "fmt"

const helpText = `Supervise runs commands so that nothing they start can outlive them.

  supervise run [flags] [--] command [args]   run one command
  supervise serve [flags]                     any number of jobs, by JSON-RPC
  supervise                                   speak the binary protocol on
                                              descriptors 0 and 1
  supervise CONTROLFD STATUSFD command [args] speak the text protocol of
                                              catern/supervise up to 1.4
  supervise list [--json] [--all]             what runs, under any supervise
  supervise stat JOB                          what it has used, and its processes
  supervise kill|signal|freeze|thaw|limit     act on it: 'supervise help kill'
  supervise metrics [-o FILE]                 numbers of all, for Prometheus
  supervise top                               the same, live on the terminal
  supervise report FILE... -o FILE            a page from records and samples
  supervise doctor [--json|--fix-plan]        which containment this place gives
  supervise version                           print the version
  supervise help [command]                    this text, or more about a command

  supervise run -- make -j8                   nothing is left of it
  supervise run --timeout 10m -- ./test.sh    and it ends in time
`

const helpRun = `usage: supervise run [flags] [--] command [args]     (man supervise-run)
Whatever the command starts is killed when it ends, or when supervise does.
time    --timeout D          end it after D: 90 (s), 1m30s, 500ms (0: no limit)
        --cpu-timeout D      after D of processor time of all processes (0: no)
        --grace D            from the signal then to the kill (10s)
        --signal S           the signal then, to every process (TERM)
end     --leftovers MODE     what outlives the command: kill, wait, fail (kill)
        --owner fd:N|parent  end it when the other end closes; the caller ends
        --while-linked FILE  end it when FILE is removed; --pty[=24x80]: it has
        a terminal of its own, copied to and from stdin and stdout (it has not)
place   --contain MODE       cgroup, subreaper, or auto: cgroup if it can (auto)
        --cgroup PATH        in this one; --slice SLICE, --scope new: systemd's
        --name NAME          of the cgroup, and in the record (the command's)
        --no-guard           kill -9 leaks; --systemd-timeout D (5s), --trace fd
limits  --memory-max SIZE    -high, -low, -min; --swap-max, --oom-group (none)
        --cpus N             1.5; --cpu-weight N, --cpuset 0-3, --cpuset-mems 0
        --pids-max N         --io-weight N, --io-max DEV,rbps=1M, --set FILE=V
        --property P=V, -p   limits as systemd's; --resources FILE: as OCI's
        --best-effort        go on, and say so, where a limit cannot be had
record  --record FILE        JSON at the end; also fd:N, or - for stdout (none)
        --summary            for people, on stderr; --progress: a line every 1s
        --sample D           look every D (1s); --samples FILE, --marks fd:N
status  the command's; 128+n: signal n; 124: time; 125: supervise failed, or
        --leftovers=fail; 126, 127: not executable, not found; 2: misused
`

const helpServe = `usage: supervise serve [flags]                       (man supervise-serve)

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

const helpDoctor = `usage: supervise doctor [--json | --fix-plan]

Says how "supervise run" would hold a job here, and why: every cgroup from the
mount down to where jobs go, who owns it and where each controller stops; what
the kernel offers, by trying it in a cgroup that is removed again; whether
systemd can be reached; and how to remove each shortcoming on this machine.
Nothing is changed and nothing is left behind.

  --json               the same facts as one JSON object, supervise.doctor/1
                       (go doc ./protocol Diagnosis explains its fields)
  --fix-plan           a shell script that would repair this machine, as far as
                       commands can; what is for root in it is marked

In the table of cgroups, "on" is a controller that is handed on to the cgroups
below, "stops" one that is there and is not, and "-" one that is not there; in
the last row, where jobs go or would go, "yes" is one that they can have.

exit status: 0 if a job would be held in a cgroup, 1 if not (with --fix-plan 0),
125 if supervise failed, 2 if it was misused.

  supervise doctor || echo "no cgroups here: jobs are held by descent alone"
  supervise doctor --fix-plan >fix.sh          # read it, then: sh fix.sh
  supervise doctor --json | jq -r '.fixes[].advice'
`

const helpJobs = `usage: supervise list [--json] [--all]
       supervise stat [--json] JOB
       supervise signal [--all] SIGNAL JOB...
       supervise kill [--grace D] JOB...
       supervise freeze|thaw JOB...
       supervise limit JOB --memory-max SIZE ...      (flags as of "run")
       supervise metrics [--openmetrics] [-o FILE]

Looks at the jobs that any supervise of this user holds, for root any at all, and
acts on them. JOB is an id that list shows, the beginning of one, or a name.

list    jobs in others are indented; --all: also other users', as far as they
        can be read. MEMORY and LIMIT need the memory controller.
stat    what one has used so far, its limits and its processes
signal  to the main process; --all: to every process, none missed
kill    every process, and returns when none is left; --grace D: SIGTERM first,
        and D to obey it. Its supervise lives on, and tells its owner.
freeze  stops every process until thaw; a frozen job can be killed
limit   changes limits of a job that runs; lowered below what is used, the kernel
        reclaims, and kills if that does not help
metrics numbers of all jobs as Prometheus has them, or OpenMetrics; --output FILE,
        -o: replaced at once, for the textfile collector of node_exporter

--json  one object, supervise.list/1 or supervise.stat/1 (go doc ./protocol List)

exit status: 0; 125 if there is no such job, it is another user's, or it cannot be
done (one held without a cgroup has no freeze, thaw and limit); 2 if misused.

  supervise list
  supervise limit 4be0 --memory-max 2G      # as long as the beginning is unique
`

// helpTexts are the texts by command; "" is the overview.
var helpTexts = map[string]string{"": helpText, "run": helpRun, "serve": helpServe, "doctor": helpDoctor,
	"list": helpJobs, "stat": helpJobs, "signal": helpJobs, "kill": helpJobs, "freeze": helpJobs, "thaw": helpJobs, "limit": helpJobs, "metrics": helpJobs}

// help prints a text to stdout.
func help(topic string) (status int) {
	fmt.Print(helpTexts[topic])
	return 0
}
