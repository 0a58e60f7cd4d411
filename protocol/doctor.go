package protocol

// DiagnosisSchema names the layout of Diagnosis; a change that readers must know
// of changes the number.
const DiagnosisSchema = "supervise.doctor/1"

// A Diagnosis is what "supervise doctor --json" writes: how a job would be held
// here, everything that decides it, and what to do about what is missing. What is
// not known is null, never zero.
type Diagnosis struct {
	Schema  string `json:"schema"`  // DiagnosisSchema
	Version string `json:"version"` // of the supervise that wrote it

	Containment Containment `json:"containment"`           // what "supervise run" would take here
	Reason      *string     `json:"reason"`                // why it is this place, in one sentence; null: it is the only one
	Road        *string     `json:"road"`                  // how the root was found: explicit, nested, delegated, shared
	Root        *string     `json:"root"`                  // directory of the cgroup below which jobs go
	RootBase64  []byte      `json:"root_base64,omitempty"` // the bytes of root, if they are not UTF-8

	Place        Place          `json:"place"`
	Mount        *CgroupMount   `json:"mount"`                   // null: there is no cgroup2 file system
	Cgroup       *string        `json:"cgroup"`                  // our own, as /proc/self/cgroup has it
	CgroupBase64 []byte         `json:"cgroup_base64,omitempty"` // the bytes of cgroup, if they are not UTF-8
	Top          bool           `json:"top"`                     // our own cgroup is the root of the whole hierarchy
	Others       *int           `json:"others"`                  // processes beside supervise in its own cgroup
	V1           []string       `json:"v1"`                      // controllers that cgroup v1 hierarchies hold
	Chain        []CgroupOnPath `json:"chain"`                   // from the root of the mount down to Root; if that is null, to our own cgroup

	Controllers []Controller `json:"controllers"` // the five that limits need: cpu, cpuset, io, memory, pids
	Features    []Feature    `json:"features"`
	Bus         Bus          `json:"bus"`
	Fixes       []Fix        `json:"fixes"` // most important first
}

// A Place is where supervise runs.
type Place struct {
	UID           int     `json:"uid"`
	Container     *string `json:"container"`      // docker, kubernetes, lxc, podman, systemd-nspawn, or what calls itself one; null: none
	UserNamespace bool    `json:"user_namespace"` // not all user ids are mapped
	Systemd       bool    `json:"systemd"`        // systemd manages this system
	UserManager   *bool   `json:"user_manager"`   // "systemd --user" runs for the user; null for root, and without systemd
}

// A CgroupMount is the cgroup2 mount that is used, or the last one if none can be.
type CgroupMount struct {
	Point       string `json:"point"`
	PointBase64 []byte `json:"point_base64,omitempty"` // the bytes of point, if they are not UTF-8
	Root        string `json:"root"`                   // the cgroup it shows; /.. in front means one outside of our cgroup namespace
	RootBase64  []byte `json:"root_base64,omitempty"`  // the bytes of root, if they are not UTF-8
	Shown       bool   `json:"shown"`                  // it shows our own cgroup
	ReadOnly    bool   `json:"read_only"`              // for all users
}

// A CgroupOnPath is the cgroup below which jobs go or would go, or one above it.
type CgroupOnPath struct {
	Name           string   `json:"name"`                  // as /proc/self/cgroup would have it
	NameBase64     []byte   `json:"name_base64,omitempty"` // the bytes of name, if they are not UTF-8
	Path           string   `json:"path"`                  // its directory
	PathBase64     []byte   `json:"path_base64,omitempty"` // the bytes of path, if they are not UTF-8
	UID            *int     `json:"uid"`                   // the owner
	Writable       bool     `json:"writable"`
	Delegated      bool     `json:"delegated"`       // marked by systemd; user managers mark nothing
	Controllers    []string `json:"controllers"`     // cgroup.controllers: what it may hand on
	SubtreeControl []string `json:"subtree_control"` // what it does hand on
	Error          *string  `json:"error"`           // why it could not be read
}

// A Controller is one that limits need.
type Controller struct {
	Name          string  `json:"name"`
	Available     bool    `json:"available"`                 // the last of the chain may hand it to jobs
	StopsAt       *string `json:"stops_at"`                  // the cgroup of the chain that has it and does not hand it on; null: none does, or not even the first has it
	StopsAtBase64 []byte  `json:"stops_at_base64,omitempty"` // the bytes of stops_at, if they are not UTF-8
}

// A Feature is something the kernel may offer.
type Feature struct {
	Name   string  `json:"name"` // such as cgroup.kill
	Works  *bool   `json:"works"`
	Detail *string `json:"detail"` // what is wrong, or what to know
}

// A Bus is what supervise-scope found out about systemd.
type Bus struct {
	Program  *string   `json:"program"`  // supervise-scope; null: not installed
	Error    *string   `json:"error"`    // why there is no answer
	Roads    []BusRoad `json:"roads"`    // in the order of trying
	Unit     *string   `json:"unit"`     // that we run in
	Delegate *bool     `json:"delegate"` // it has Delegate=yes

	UserControllers []string `json:"user_controllers"` // that the user's manager may hand on
	Linger          *bool    `json:"linger"`           // whether that runs without a login as well
}

// A BusRoad is one way to a systemd manager.
type BusRoad struct {
	Road    string  `json:"road"`
	Address string  `json:"address"`
	OK      bool    `json:"ok"`
	Error   *string `json:"error"`
}

// A Fix is one shortcoming and what removes it.
type Fix struct {
	Name    string   `json:"name"`    // stable, for programs
	Problem string   `json:"problem"` // in a sentence
	Advice  string   `json:"advice"`  // what to do, in a sentence
	Lines   []string `json:"lines"`   // commands or settings, to be taken as they are

	Commands []FixCommand `json:"commands"` // which do that, in this order; none: it is not done by a command here
}

// A FixCommand is a command of a repair. To run it again does no harm.
type FixCommand struct {
	Line string `json:"line"` // for sh(1)
	Root bool   `json:"root"` // it needs to be run by root
	Why  string `json:"why"`  // what it does, in a phrase
}
