package cgroup

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

// A Found is a job that some supervisor on this machine holds, seen from outside. It is an
// open directory: what is done to it is done to that cgroup, whatever has its name by now.
// It belongs to one goroutine.
type Found struct {
	Session string    // the id of the session, eight hexadecimal digits
	Dir     string    // the name of the job node, unique in its session
	Title   string    // the job's name as its supervisor was told; any bytes
	UID     int       // the owner of the job node
	Since   time.Time // when the job node was made; zero: not known (Linux before 5.7)
	Main    int       // pid of the main process, as its supervisor sees it; 0: not known

	// Supervisor is the pid of the process that has locked the session. 0: it is outside of
	// this PID namespace, or dead, which Held tells apart: it says whether the session is locked.
	Supervisor int
	Held       bool

	job *Job
	cpu int // cpu.stat, open; 0: not yet
}

// Find calls visit for every job on the part of this machine that the mount of cgroup v2 shows,
// outer ones before those in them. The visitor closes what it is given. The errors are
// those of directories that could not be read, but for those of other users that forbid it; the
// others are visited. [ErrNoMount]: there is no cgroup v2.
func Find(visit func(*Found)) error {
	here, err := locate()
	if err != nil {
		return err
	}
	top, err := openDir(here.mount.point)
	if err != nil {
		return err
	}
	defer top.close()
	locks, _ := readFile("/proc/locks") // without it all are asked
	f := finder{locks: proc.ParseLocks(locks), sessions: map[string]sessionState{}, visit: visit}
	return top.each(f.look)
}

// A finder is one walk of Find's.
type finder struct {
	locks    []proc.Lock
	sessions map[string]sessionState // by path
	visit    func(*Found)
}

// A sessionState is what the lock of a session says.
type sessionState struct {
	supervisor int
	held       bool
}

// look visits a directory, if it is a job node, and remembers a session.
func (f *finder) look(at *dir) error {
	parent, name := path.Split(at.path)
	parent = path.Clean(parent)
	switch session, inSession := f.sessions[parent]; {
	case inSession && name != guardianLeaf:
		return f.found(at, parent, name, session)
	case isName(name):
		f.sessions[at.path] = f.state(at)
	}
	return nil
}

func (f *finder) found(at *dir, session, name string, state sessionState) error {
	fd, err := unix.FcntlInt(uintptr(at.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return at.fail("dup", "", err)
	}
	node := &dir{fd: fd, path: at.path, forced: true}
	found := &Found{
		Session: strings.TrimPrefix(path.Base(session), sessionPrefix), Dir: name, Title: name,
		Supervisor: state.supervisor, Held: state.held,
		job: &Job{node: node, main: &dir{fd: -1}, name: name, s: &Session{dir: &dir{fd: -1, path: session}, root: &root{dir: &dir{fd: -1, path: path.Dir(session)}}}},
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		node.close()
		return at.fail("stat", "", err)
	}
	found.UID = int(st.Uid)
	if title, ok := node.attribute(xattrJob); ok {
		found.Title = title
		// The inode got its times with its first attribute (__kernfs_iattrs in fs/kernfs/inode.c),
		// and no reading changes the time of access, other than a directory's other times.
		found.Since = time.Unix(st.Atim.Unix())
	}
	if text, ok := node.attribute(xattrMain); ok {
		found.Main, _ = strconv.Atoi(text)
	}
	f.visit(found)
	return nil
}

// attribute reads an extended attribute, of at most 4 KiB.
func (d *dir) attribute(name string) (string, bool) {
	var buf [4096]byte
	n, err := unix.Fgetxattr(d.fd, name, buf[:])
	return string(buf[:max(n, 0)]), err == nil
}

// state tells by the locks of the whole machine who holds a session: they name what could only
// be tried by locking it. Of a supervisor in another PID namespace there is no line: then the
// lock is tried, and given back with the directory.
func (f *finder) state(at *dir) (s sessionState) {
	version, _ := at.attribute(xattrSession)
	var st unix.Stat_t
	err := unix.Fstatat(at.fd, "cgroup.kill", &st, unix.AT_SYMLINK_NOFOLLOW)
	if version == lockedByDirectory || errors.Is(err, fs.ErrNotExist) {
		err = unix.Fstat(at.fd, &st)
	}
	if err == nil {
		for _, l := range f.locks {
			if l.Kind == "FLOCK" && l.File == fileOf(&st) {
				return sessionState{l.PID, true}
			}
		}
	}
	return sessionState{0, at.isLocked(version == lockedByDirectory)}
}

// Close closes the directory. It leaves the job as it is.
func (f *Found) Close() {
	f.job.node.close()
	if f.cpu > 0 {
		unix.Close(f.cpu)
		f.cpu = 0
	}
}

// CPUTime returns the job's processor time so far, in microseconds. It keeps cpu.stat open, for
// those that read it often. Once the job is over it is an error (ENODEV).
func (f *Found) CPUTime() (us uint64, err error) {
	if f.cpu == 0 {
		if f.cpu, err = f.job.node.open("cpu.stat", unix.O_RDONLY); err != nil {
			f.cpu = 0
			return 0, err
		}
	}
	return f.job.node.keyedIn(f.cpu, "cpu.stat", "usage_usec")
}

// Path returns the path of the job node in the file system, when it was found.
func (f *Found) Path() string { return f.job.node.path }

// Places finds the cgroups of processes in the file system.
type Places struct{ mount mount }

// NewPlaces looks for the mount through which our own cgroup can be reached.
func NewPlaces() (*Places, error) {
	here, err := locate()
	if err != nil {
		return nil, err
	}
	return &Places{here.mount}, nil
}

// Of returns the directory of the cgroup that a process is in; "": the process has ended, or the
// mount does not show its cgroup.
func (p *Places) Of(pid int) string {
	text, err := proc.Read(pid, "cgroup", 0)
	if err != nil {
		return ""
	}
	own, ok := proc.ParseCgroup(text)
	if !ok {
		return ""
	}
	dir, _ := p.mount.below(own)
	return dir
}

// Empty says whether no live process is in the job: it is about to begin, or over.
func (f *Found) Empty() (bool, error) { return f.job.Empty() }

// Frozen says whether every process is frozen (cgroup.events, "frozen").
func (f *Found) Frozen() (bool, error) {
	n, err := f.job.node.keyed("cgroup.events", "frozen")
	return n == 1, err
}

// Procs returns the pids of the live processes in the whole tree that this PID namespace shows.
func (f *Found) Procs() ([]int, error) { return f.job.Procs() }

// Stats is [Job.Stats].
func (f *Found) Stats() (*Stats, error) { return f.job.Stats() }

// Usage is what is cheap to read of a job's use and limits: nil where the job lacks the
// controller, or the limit.
type Usage struct {
	CPU       *uint64 // cpu.stat, usage_usec: microseconds
	Memory    *uint64 // memory.current, in bytes
	MemoryMax *uint64 // memory.max, in bytes
	Tasks     *uint64 // pids.current: threads count
	TasksMax  *uint64 // pids.max
}

// Usage reads it. What cannot be read is nil.
func (f *Found) Usage() Usage {
	r := reader{d: f.job.node, buf: takeBuffer()}
	defer func() { giveBuffer(r.buf) }()
	return Usage{
		CPU:    number(r.read("cpu.stat"), "usage_usec"),
		Memory: parseNumber(r.read("memory.current")), MemoryMax: parseNumber(r.read("memory.max")),
		Tasks: parseNumber(r.read("pids.current")), TasksMax: parseNumber(r.read("pids.max")),
	}
}

// Signal is [Job.Signal].
func (f *Found) Signal(sig unix.Signal) error { return f.job.Signal(sig) }

// Freeze is [Job.Freeze].
func (f *Found) Freeze() error { return f.job.Freeze() }

// Thaw is [Job.Thaw].
func (f *Found) Thaw() error { return f.job.Thaw() }

// Limit is [Job.Limit].
func (f *Found) Limit(l Limits) error { return f.job.Limit(l) }

// Await waits until no process is left, at most for limit; 0: without end.
func (f *Found) Await(limit time.Duration) (empty bool, err error) {
	if limit == 0 {
		limit = 1 << 62
	}
	empty, err = f.job.node.await("populated", 0, limit)
	if errors.Is(err, unix.ENODEV) || errors.Is(err, fs.ErrNotExist) { // its supervisor has removed it
		return true, nil
	}
	return empty, err
}

// Kill SIGKILLs every process and returns when none is left, or after ten seconds with an error
// that names those that do not end.
func (f *Found) Kill() error {
	err := f.job.node.killAndWait()
	if errors.Is(err, unix.ENODEV) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// RemoveOrphaned removes the job node, in which no process may be left, of a supervisor that is
// dead, and the session if there is no other job in it. That is what the next supervisor in
// the same place would do: if one does it at this moment, it is left to that one, as is
// what cannot be removed.
func (f *Found) RemoveOrphaned() {
	root, err := openDir(path.Dir(f.job.s.path))
	if err != nil {
		return
	}
	defer root.close()
	name := path.Base(f.job.s.path)
	session, err := root.childForced(name)
	if err != nil {
		return
	}
	defer session.close()
	version, _ := session.attribute(xattrSession)
	if session.isLocked(version == lockedByDirectory) || session.removeTree(f.Dir) != nil {
		return
	}
	if session.countSubdirs() == 0 {
		root.removeTree(name)
	}
}

// limiting are the interface files that Limits reads, and the values that limit nothing.
var limiting = []struct{ file, none string }{
	{"memory.max", noLimit}, {"memory.high", noLimit}, {"memory.low", "0"}, {"memory.min", "0"},
	{"memory.swap.max", noLimit}, {"memory.oom.group", "0"},
	{"cpu.max", noLimit + " 100000"}, {"cpu.weight", "100"}, {"cpuset.cpus", ""}, {"cpuset.mems", ""},
	{"pids.max", noLimit}, {"io.max", ""}, {"io.weight", "default 100"},
}

// Limits reads the limits that are set on the job node; of each, File and Value alone.
func (f *Found) Limits() (list Limits) {
	for _, l := range limiting {
		text, err := f.job.node.read(l.file)
		if value := oneLine(text); err == nil && value != l.none {
			list = append(list, Limit{File: l.file, Value: value})
		}
	}
	return list
}
