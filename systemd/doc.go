// Package systemd asks a systemd manager for a delegated cgroup.
//
// On a systemd host the cgroup tree belongs to the manager. It may change or remove any
// cgroup that it has not delegated, even one whose directory another user owns
// (systemd.io/CGROUP_DELEGATION). So [Host.Place] checks whether the unit that the processes
// are in is delegated and holds no other process. If not, it has the manager make a transient
// scope around them:
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
// If an endpoint is unusable, or has no manager behind it, the next one is tried. An answer of
// the manager is final. The caller's context bounds everything: a stopped manager accepts
// connections, and never answers.
//
// Sources: systemd.scope(5), systemd.resource-control(5) (Delegate=),
// org.freedesktop.systemd1(5) (StartTransientUnit, AttachProcessesToUnit,
// JobRemoved), systemd.io/CONTROL_GROUP_INTERFACE, and the D-Bus specification.
package systemd
