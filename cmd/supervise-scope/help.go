package main

const helpText = `usage: supervise-scope [flags]

Moves processes into a cgroup that systemd has delegated, prints it as one line
of JSON, and exits. If the unit they are in is delegated and holds nobody else,
it is that one, and nothing is moved; else a new scope.

  --pid N              a process to move; may be repeated (default: the parent)
  --slice S            make a scope in this slice
  --description TEXT   of the scope, for systemctl
  --controllers LIST   delegate these only, as in "memory pids"; "" for none
                       (default: all there are)
  --timeout D          give up after D (default 5s), whatever it waits for

  --own-unit           make no scope: say which unit they are in, if it is
                       delegated and holds nobody else, or else fail

  --attach UNIT        move more processes into a scope of an earlier call
  --subgroup PATH      and there into this cgroup below it

  --probe              move nothing: say how the manager can be reached, and
                       what the unit of the process is delegated

The line has the members cgroup, unit, road ("unit", or "scope" for a new one),
manager (how it was asked: private, session-bus, user-bus, system-private or
system-bus; "none" if it need not be), took_ms, and subgroup if the process is
in a cgroup below its unit's.

A user's processes go to the user's manager, root's to the system's. It is found
without environment variables as well.

exit status: 0; 1 if it failed, with the reason on stderr; 2 if it was misused.

  supervise-scope
  {"cgroup":"/user.slice/.../supervise-ab12cd34.scope",      (all on one line)
   "unit":"supervise-ab12cd34.scope","road":"scope","manager":"private",
   "took_ms":3.1}
  supervise-scope --attach supervise-ab12cd34.scope --pid 4711
`
