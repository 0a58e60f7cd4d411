package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A Verdict is where the jobs of this process may be held.
type Verdict int

const (
	// Inside: in a cgroup that holds this process already, or beside its leaf.
	Inside Verdict = iota
	// NewScope: in a new scope of systemd's. Inside is the second choice.
	NewScope
	// AskManager: in the own unit, if the manager says that it is delegated; else Inside.
	AskManager
)

// A Judgment says where the jobs of this process may be held, such that what holds the
// process holds the jobs as well. It owns open directories until Open or Close.
type Judgment struct {
	Verdict Verdict
	Reason  string // one sentence; "": there is nothing to be said about the only place there is
	Own     string // the own cgroup, as /proc/self/cgroup has it
	Slice   string // of a new scope; "": the manager's choice

	roots []*root   // best first
	err   error     // why the own cgroup is not among them
	late  *standing // of the own cgroup, which is the second choice and not judged yet; nil: it is

	position
}

// Judge finds out which cgroup this process is in, who made it, and what a job elsewhere
// would leave behind. Ours are processes that may be in the own cgroup beside this one,
// because the caller moves them into a job.
//
//	own cgroup                                                     jobs go
//	---------------------------------------------------------------------------------------
//	the leaf of a job of another supervise                         beside the leaf
//	one that Slurm made, which ends processes by a list of pids    nowhere
//	another one below a job or a unit, made by neither supervise   into the own cgroup,
//	  nor DelegateSubgroup=                                          without controllers
//	a delegated unit, or its DelegateSubgroup=, in which no other  into the unit
//	  process is and no other program has made a populated cgroup
//	another service                                                into the own cgroup, as above
//	another one that systemd has not made either                   into the own cgroup, as above
//	a scope, a session, a slice: no limit would be left behind     into a new scope
//	the same: a limit would be                                     into the own cgroup, as above
//	without systemd: one with no other process in it               into it
//	the same, with others                                          into it, without controllers
//
// No place is taken if a limit would be left behind on the way to it (see LeftBehind), nor
// if another user owns or may write it, or a cgroup above it. Where the table leads to such
// a place, jobs go into the own cgroup; and nowhere, if that is such a place.
//
// Leaning, if it is not nil, is called as soon as a new scope is likely: what is judged then takes
// some time.
//
// The error says why no cgroup is to be had at all: ErrNoMount, or EROFS in a container.
func Judge(ours []int, leaning func()) (*Judgment, error) {
	here, err := locate()
	if err != nil {
		return nil, err
	}
	own, err := openDir(here.path)
	if err != nil {
		return nil, err
	}
	if own.isReadOnly() { // a process inside cannot make the mount writable
		own.close()
		return nil, own.fail("open", "cgroup.procs", unix.EROFS)
	}
	s := &standing{dir: own, ours: ours, managed: Managed(), leaning: leaning}
	s.Own, s.position = here.own, here
	s.judge()
	return &s.Judgment, nil
}

// ErrByPID says that a job in a cgroup of its own would not be ended by the manager that has
// made the cgroup around.
var ErrByPID = errors.New("and ends the processes that are directly in it, not those below")

// A standing is a Judgment in the making.
type standing struct {
	Judgment
	dir     *dir // the own cgroup's
	ours    []int
	managed bool
	leaning func() // nil: nothing
}

func (s *standing) judge() {
	holder, isJob := s.holder()
	unit := path.Base(s.own)
	switch manager := endsByPID(s.own); {
	case manager != "":
		s.refuse(fmt.Errorf("%s made the cgroup %s, %w", manager, s.own, ErrByPID))
	case isJob && s.own == path.Join(holder, mainLeaf):
		s.judgeLeaf(holder)
	case isJob:
		s.stay("its cgroup was made inside a job of another supervise, and is not left")
	case holder != "":
		s.judgeSubgroup(holder)
	case s.isOurs(s.dir, ""):
		s.judgeOwn(unit)
	case !s.managed:
		s.stay("")
	case !systemdMade(s.own):
		s.stay(unit + " was made by another program, and is not left")
	case !strings.HasSuffix(s.own, ".service"):
		s.judgeScope()
	case mayBeDelegated(s.own):
		s.stay(unit + " is a service, and not known to be delegated")
		s.Verdict = AskManager
	case s.dir.isDelegated(s.own):
		s.stay(unit + " is delegated, but holds other processes")
	default:
		s.stay(unit + " is a service, which is not left, and not delegated")
	}
}

// holder returns the nearest cgroup above the own one that is a unit of systemd's or the
// node of a job, "" if there is none. A unit is in no holder.
func (s *standing) holder() (holder string, isJob bool) {
	if isUnit(path.Base(s.own)) && systemdMade(s.own) {
		return "", false
	}
	name, dir := s.own, s.path
	for dir != s.mount.point && len(name) > 1 {
		name, dir = path.Dir(name), path.Dir(dir)
		if marked(dir, xattrJob) {
			return name, true
		}
		if isUnit(path.Base(name)) && systemdMade(name) {
			return name, false
		}
	}
	return "", false
}

// judgeOwn judges the own cgroup, which this process has for itself, as far as processes
// tell: root may be in a unit that is delegated to a user.
func (s *standing) judgeOwn(unit string) {
	if err := s.dir.checkOwners(s.mount.point); err != nil {
		s.refuse(err)
		return
	}
	s.take(s.dir, Delegated, unit+" is delegated, and holds nothing else")
}

// judgeLeaf judges the place beside the leaf of a job of another supervise.
func (s *standing) judgeLeaf(job string) {
	d, err := openDir(path.Dir(s.path))
	if err != nil {
		s.stay(err.Error())
		return
	}
	if err := s.check(d, job); err != nil {
		d.close()
		s.stay(err.Error())
		return
	}
	s.take(d, Nested, "it is in a job of another supervise")
}

// judgeSubgroup judges a cgroup below a unit: only one that systemd or supervise has made
// leads to the unit.
func (s *standing) judgeSubgroup(unit string) {
	sub, name := strings.TrimPrefix(s.own, unit+"/"), path.Base(unit)
	if sub != supervisorLeaf && !hasSubgroup(unit, sub) {
		s.stay(fmt.Sprintf("the cgroup %s of %s was made by another program, and is not left", sub, name))
		if mayBeDelegated(unit) {
			s.Verdict = AskManager
		}
		return
	}
	p, _ := s.mount.below(unit)
	d, err := openDir(p)
	if err != nil {
		s.stay(err.Error())
		return
	}
	reason := name + " is not delegated, or holds other processes"
	if s.isOurs(d, sub) {
		if err = s.check(d, unit); err == nil {
			s.take(d, Delegated, name+" is delegated, and holds nothing else")
			return
		}
		reason = err.Error()
	}
	d.close()
	s.stay(reason)
}

// judgeScope judges a new scope of systemd's.
func (s *standing) judgeScope() {
	if s.leaning != nil {
		s.leaning()
	}
	name := path.Base(s.own)
	to, slice := scopeParent(s.own)
	left, err := s.mount.leftBehind(s.own, to)
	switch {
	case err != nil:
		s.stay(err.Error())
	case len(left) > 0:
		s.stay(fmt.Sprintf("a new scope would leave behind %s", strings.Join(left, ", ")))
	default:
		s.Verdict, s.Slice, s.Reason = NewScope, slice, "no limit of "+name+" is left behind by a new scope"
		s.late = s
	}
}

// isOurs says whether a unit, or another cgroup that a process may have been given, is
// delegated, and holds no process of others: directly this process and Ours only, or, if
// this process is in the sub-cgroup sub, none; and below it neither.
func (s *standing) isOurs(d *dir, sub string) bool {
	at := s.own
	if sub != "" {
		at = strings.TrimSuffix(s.own, "/"+sub)
	}
	if _, err := d.keyed("cgroup.events", "populated"); err != nil { // the root of the whole hierarchy
		return false
	}
	if (s.managed || sub != "") && !d.isDelegated(at) {
		return false
	}
	if sub == "" && !d.holdsOnly(s.ours) {
		return false
	}
	if pids, err := d.members(); sub != "" && (err != nil || len(pids) > 0) {
		return false
	}
	return !d.holdsStrangers(sub)
}

// holdsStrangers says whether another program has made a sub-cgroup that is populated.
// Sessions of supervise, its own leaf and the sub-cgroup spare are not meant.
func (d *dir) holdsStrangers(spare string) bool {
	names, err := d.subdirs()
	for _, name := range names {
		if name == spare || name == supervisorLeaf || name == guardianLeaf || marked(d.join(name), xattrSession) {
			continue
		}
		if n, e := d.keyed(name+"/cgroup.events", "populated"); n > 0 || e != nil && !errors.Is(e, fs.ErrNotExist) {
			return true
		}
	}
	return err != nil
}

// check says why jobs must not be held in d, the cgroup to, rather than in the own one.
func (s *standing) check(d *dir, to string) error {
	left, err := s.mount.leftBehind(s.own, to)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("outside its own cgroup %s would be left behind", strings.Join(left, ", "))
	}
	if err == nil {
		err = d.checkOwners(s.mount.point)
	}
	return err
}

// take makes d the best of the roots. The own cgroup is the second choice: there may be no
// room for more cgroups in d.
func (s *standing) take(d *dir, origin Origin, reason string) {
	if s.managed {
		s.Reason = reason
	}
	s.roots = append(s.roots, &root{dir: d, origin: origin, localEvents: s.mount.localEvents})
	if d != s.dir {
		s.roots = append(s.roots, &root{dir: s.dir, origin: Shared, localEvents: s.mount.localEvents})
	}
}

// stay makes the own cgroup the only root, unless it is another user's.
func (s *standing) stay(reason string) {
	if err := s.dir.checkOwners(s.mount.point); err != nil {
		s.refuse(err)
		return
	}
	s.Reason = reason
	s.roots = append(s.roots, &root{dir: s.dir, origin: Shared, localEvents: s.mount.localEvents})
}

// refuse leaves no root.
func (s *standing) refuse(err error) {
	s.err = err
	s.dir.close()
}

// Open makes a session in the best root that takes one. The error says why none does.
func (j *Judgment) Open() (*Session, error) {
	j.judgeLate()
	session, err := (*Session)(nil), j.err
	for _, r := range j.roots {
		if session == nil {
			if session, err = r.newSession(); session != nil {
				continue // it owns r now
			}
		}
		r.close()
	}
	j.roots = nil
	return session, err
}

// judgeLate judges the own cgroup as the second choice. It is refused where it is another user's, which
// does not matter to a scope.
func (j *Judgment) judgeLate() {
	if j.late != nil {
		j.late.stay(j.Reason)
		j.late = nil
	}
}

// Close closes what Open would have used. After Open it does nothing.
func (j *Judgment) Close() {
	if j.late != nil {
		j.late.dir.close()
		j.late = nil
	}
	for _, r := range j.roots {
		r.close()
	}
	j.roots = nil
}

// OwnSlice returns the slice in which a scope for this process belongs; "": the manager's
// choice.
func OwnSlice() string {
	_, slice := scopeParent(Own())
	return slice
}
