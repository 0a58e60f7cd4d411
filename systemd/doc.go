// Package systemd asks a systemd manager for a delegated cgroup.
//
// Below systemd nobody may simply take a cgroup: the tree belongs to the
// manager, and what it has not delegated it may change or remove, whoever owns
// the directory (systemd.io/CGROUP_DELEGATION). So [Host.Place] finds out
// whether the unit that the processes are in is delegated and holds nobody else,
// and if it is not, has the manager make a transient scope around them:
//
//	/user.slice/user-1000.slice/user@1000.service/app.slice/supervise-1f2e3d4c.scope
//
// The manager is reached through a socket, called an endpoint here. A user's manager
// listens on a private one, where it speaks D-Bus without a bus between, and is
// also found on the user's bus; the system's manager likewise. The order:
//
//	private         $XDG_RUNTIME_DIR/systemd/private      no bus: faster, and there without one
//	session-bus     $DBUS_SESSION_BUS_ADDRESS
//	user-bus        $XDG_RUNTIME_DIR/bus
//	private, user-bus once more below /run/user/UID, for sudo, su and cron, or an empty environment
//
//	system-private  /run/systemd/private                  root only
//	system-bus      /run/dbus/system_bus_socket           for others: to ask about their unit, no more
//
// An endpoint that is unusable, or has no manager behind it, leads to the next one; an
// answer of the manager is final. Everything is bounded by the caller's context:
// a stopped manager accepts connections, and never answers.
//
// Sources: systemd.scope(5), systemd.resource-control(5) (Delegate=),
// org.freedesktop.systemd1(5) (StartTransientUnit, AttachProcessesToUnit,
// JobRemoved), systemd.io/CONTROL_GROUP_INTERFACE, and the D-Bus specification.
package systemd
