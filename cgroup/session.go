package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-c1490a04/supervise/cgroup/proc"
)

const sessionPrefix = "jobs-"

// A Session is the cgroup below root that holds all jobs of one supervisor.
// It belongs to one goroutine.
type Session struct {
	*dir
	root *root
	name string

	above ancestorOOM // the cgroups above the jobs
	lacks lacking     // files that jobs do not have
	below int         // see HoldBelow; 0: all jobs
	made  int         // jobs, and those that were closed are gone
	gone  int
	stat  int   // cpu.stat, open; 0: not yet
	most  int   // memory.max, open; 0: not yet, -1: there is none
	holds *bool // the root holds this process: see MayOverlap; nil: not looked at yet
	born  bool  // a process was born in a job and survived: see killedAtBirth
	left  bool  // the directories stay: see LeaveToManager
	ended bool  // Kill was called, and since then nothing has come into a job but by a fork
	over  bool  // after that no process was left
}

// Open makes a locked session in the best place for jobs that Judge finds, without a new
// scope. Call Claim once the root holds no process that is to be moved into a job.
func Open() (*Session, error) {
	j, err := Judge(nil, nil)
	if err != nil {
		return nil, err
	}
	return j.Open()
}

// newSession makes a session below r, or leaves r as it was.
func (r *root) newSession() (*Session, error) {
	if err := r.writable(); err != nil {
		return nil, err
	}
	s, err := r.makeSession()
	if errors.Is(err, unix.EAGAIN) { // cgroup.max.descendants: what dead supervisors left may be in the way
		r.removeStale("")
		s, err = r.makeSession()
	}
	return s, err
}

// Claim hands the root's controllers down to the jobs. It first moves this process from the
// root into a leaf of its own, since a cgroup with processes cannot hand controllers down. It
// leaves a shared root, and one without controllers, as it is.
func (s *Session) Claim(jobs ...*Job) error {
	if err := s.root.claim(); err != nil {
		return err
	}
	if _, err := s.enable(); err != nil {
		return err
	}
	for _, j := range jobs {
		if _, err := j.node.enable(); err != nil {
			return err
		}
	}
	return nil
}

// makeSession makes the directory, its lock and its mark. Another supervisor that starts at
// the same moment may take the directory for a stale one before it is locked: then it is gone
// or locked, and makeSession takes another name.
func (r *root) makeSession() (*Session, error) {
	for try := 0; ; try++ {
		s, err := r.trySession()
		if err == nil || try == 9 || !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			return s, err
		}
	}
}

func (r *root) trySession() (*Session, error) {
	name := newName()
	d, err := r.mkdir(name)
	if err != nil {
		return nil, err
	}
	d.forced = true
	if err := d.lock(); err != nil {
		d.close()
		r.rmdir(name) // another supervisor removes only what is old
		return nil, err
	}
	if err := d.mark(xattrSession, layoutVersion); err != nil {
		d.close()
		r.rmdir(name)
		return nil, err
	}
	return &Session{dir: d, root: r, name: name}, nil
}

// mark sets an extended attribute. A kernel without them on cgroups (before 5.7) is no error:
// only stale sessions and nesting are not recognised then.
func (d *dir) mark(attr, value string) error {
	if err := unix.Fsetxattr(d.fd, attr, []byte(value), 0); err != nil && err != unix.ENOTSUP {
		return d.fail("setxattr "+attr, "", err)
	}
	return nil
}

// newName draws a name. The runtime has a generator that the kernel has seeded (AT_RANDOM),
// so that getrandom(2), for which Go sets up a page of the vDSO, is not needed.
func newName() string { return fmt.Sprintf("%s%08x", sessionPrefix, rand.Uint32()) }

// isName says whether newName may have made it.
func isName(name string) bool {
	id, ok := strings.CutPrefix(name, sessionPrefix)
	_, err := strconv.ParseUint(id, 16, 32)
	return ok && len(id) == 8 && err == nil
}

// RemoveStale ends and removes the sessions that dead supervisors left in the same root, which
// it knows by their names: a job may have removed the mark. One that is locked stays. So does,
// for a minute, an unmarked one that is empty: another supervisor may have made it just now.
//
// Whether it is a supervisor that has a lock is seen by several files of proc(5). With many
// supervisors in one root each start of a job would pay for all of them: one of those that
// are locked is looked at, any.
func (s *Session) RemoveStale() {
	if s.root.countSubdirs() != 1 { // else this session is all there is
		s.root.removeStale(s.name)
	}
}

// removeStale removes stale sessions, but not that of a name.
func (r *root) removeStale(except string) {
	names, err := r.subdirs()
	if err != nil {
		return
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	looked := false
	for _, name := range names {
		if name == guardianLeaf && !r.shelter {
			r.rmdir(name) // of a guardian that has ended a session; the kernel refuses it unless it is empty
		}
		if !isName(name) || name == except {
			continue
		}
		d, err := r.childForced(name)
		if err != nil {
			continue
		}
		looked = d.removeIfStale(r, name, !looked) || looked
		d.close()
	}
}

// removeIfStale says whether the session is locked. Closely means to see by whom.
func (d *dir) removeIfStale(r *root, name string, closely bool) (locked bool) {
	var buf [8]byte
	n, err := unix.Fgetxattr(d.fd, xattrSession, buf[:])
	if err != nil && d.isBeingMade() {
		return false
	}
	if locked = !tryLock(d.fd); locked && !closely {
		return true
	}
	if byDirectory := err == nil && string(buf[:n]) == lockedByDirectory; !d.isLocked(byDirectory) {
		s := &Session{dir: d, root: r, name: name}
		s.destroy()
	}
	return locked
}

// isBeingMade says whether another supervisor may have made the unmarked session just now, and
// be about to lock it: it would find a lock of ours.
func (d *dir) isBeingMade() bool {
	empty, err := d.empty()
	return err != nil || empty && !d.untouchedFor(time.Minute)
}

func (d *dir) untouchedFor(age time.Duration) bool {
	var st unix.Stat_t
	return unix.Fstat(d.fd, &st) == nil && time.Since(time.Unix(st.Mtim.Unix())) > age
}

// Root returns the path of the root and how it was found.
func (s *Session) Root() (path string, origin Origin) { return s.root.path, s.root.origin }

// Shelter opens a cgroup for the guardian, where the root is apart from the own cgroup: what
// ends that, and this process in it, must not end the guardian as well. It is -1 elsewhere:
// then what ends the own cgroup ends the jobs. The caller owns the descriptor.
func (s *Session) Shelter() (fd int, err error) {
	if apart, err := s.root.apart(); err != nil || !apart {
		return -1, err
	}
	leaf, err := s.root.mkdir(guardianLeaf)
	if errors.Is(err, fs.ErrExist) {
		leaf, err = s.root.child(guardianLeaf)
	}
	if err != nil {
		return -1, err
	}
	s.root.shelter = true
	return leaf.fd, nil
}

// LeaveToManager has the directories stay where they are from now on: systemd stops the unit
// that they are in, and removes them with it. To remove one while systemd sends SIGTERM to the
// processes of the unit may fail its reading of cgroup.procs (ENODEV); it then takes the
// signal for sent to nobody, and sends SIGKILL at once (unit_kill_context and cg_kill_recursive
// of systemd 252). A root apart from the own cgroup is none of that unit's.
func (s *Session) LeaveToManager() {
	apart, err := s.root.apart()
	s.left = !apart && err == nil
}

// LeftBehind lists what holds for this process, and not for a job in the session, and
// who may interfere with it: for a root that the user has named. See the function.
func (s *Session) LeftBehind() []string {
	here, err := locate()
	if err != nil {
		return nil
	}
	left, err := here.mount.leftBehind(here.own, path.Join(here.mount.root, strings.TrimPrefix(s.root.path, here.mount.point)))
	if err == nil {
		err = s.root.checkOwners(here.mount.point)
	}
	if err != nil {
		left = append(left, err.Error())
	}
	return left
}

// Name returns the name of the session's directory.
func (s *Session) Name() string { return s.name }

// HoldBelow has a job from here on keep its cgroup.kill and cgroup.events open only where
// their descriptors are below that number. The others open them when they need them, which
// fails without a descriptor left: a caller with many jobs keeps some for that.
func (s *Session) HoldBelow(fd int) { s.below = fd }

// Path returns the path of the session's directory in the file system.
func (s *Session) Path() string { return s.path }

// Controllers returns those that jobs have, after Claim.
func (s *Session) Controllers() []string {
	list, _ := s.list("cgroup.subtree_control")
	return list
}

// FD returns the descriptor of the session's directory, which holds its lock.
// The session keeps owning it.
func (s *Session) FD() int { return s.fd }

// RootFD returns the descriptor of the root's directory, owned by the session.
func (s *Session) RootFD() int { return s.root.fd }

// KillFD opens cgroup.kill (Linux 5.14) of the session: "1" written to it
// SIGKILLs every process of every job. The caller owns the descriptor, which has no part in
// the session's lock: that is to end with this process.
func (s *Session) KillFD() (int, error) { return s.open("cgroup.kill", unix.O_WRONLY) }

// HoldsUs says whether this process, or what it has forked, is in a cgroup that Close removes.
func (s *Session) HoldsUs() bool { return s.root.leaf != "" || s.root.shelter }

// Empty says whether no process is left in any job; zombies do not count.
func (s *Session) Empty() (bool, error) { return s.empty() }

// Kill SIGKILLs every process of every job: see [Job.Kill].
func (s *Session) Kill() error {
	s.ended = true
	return s.kill()
}

// isOver says whether the kill of all jobs has left no process in any. One look answers for
// thousands of jobs.
func (s *Session) isOver() bool {
	if s.ended && !s.over {
		s.over, _ = s.empty()
	}
	return s.over
}

// comes is to be called before something comes into a job other than by a fork in it.
func (s *Session) comes() { s.ended, s.over = false, false }

// Inherit returns the session whose directory and root are open as the two descriptors, and
// owns them from then on. With it the guardian ends the jobs of a dead supervisor. A guardian
// in the supervisor's leaf moves back to the root when it closes or destroys the session, as
// the supervisor would have. The error says that the first descriptor is no session's.
func Inherit(sessionFD, rootFD int) (*Session, error) {
	path := func(fd int) string {
		p, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		return p
	}
	r := &root{dir: &dir{fd: rootFD, path: path(rootFD)}, origin: Explicit}
	s := &Session{dir: &dir{fd: sessionFD, path: path(sessionFD), forced: true}, root: r}
	if err := s.verify(); err != nil {
		return nil, err
	}
	s.name = s.path[strings.LastIndexByte(s.path, '/')+1:]
	if !strings.HasPrefix(s.name, sessionPrefix) {
		return nil, fmt.Errorf("%s is not a session", s.path)
	}
	if self, err := readFile("/proc/self/cgroup"); err == nil {
		own, _ := proc.ParseCgroup(self)
		switch {
		case strings.HasSuffix(own, "/"+supervisorLeaf):
			r.leaf = supervisorLeaf
			r.enabled, _ = r.list("cgroup.subtree_control") // the root handed none down while a process was in it
		case strings.HasSuffix(own, "/"+guardianLeaf):
			r.shelter = true
			r.write("cgroup.procs", strconv.Itoa(os.Getpid())) // refused where the root hands controllers down: then the leaf stays for the next supervise
		}
	}
	return s, nil
}

// Destroy kills every process left in the session, waits until it is empty, and removes it.
// It tries again for two seconds: what is lacking, memory or a descriptor, may be there a
// little later, and no caller to tell.
func (s *Session) Destroy() (err error) {
	defer s.release()
	for range 20 {
		if err = s.destroy(); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func (s *Session) destroy() error {
	if err := s.dir.killAndWait(); err != nil {
		return err
	}
	return s.root.removeTree(s.name)
}

// Close removes the session, which must be empty, and moves this process back to the root if
// Claim had moved it.
func (s *Session) Close() (err error) {
	if !s.left {
		err = s.root.removeTree(s.name)
	}
	s.release()
	return err
}

func (s *Session) release() {
	if !s.left {
		s.root.restore()
	}
	s.above.close()
	for _, fd := range [...]int{s.stat, s.most} {
		if fd > 0 {
			unix.Close(fd)
		}
	}
	s.close()
	s.root.close()
}
