// Package cgroup holds jobs in a delegated cgroup v2 subtree: it finds a cgroup
// in which we may create children, limits them, starts processes inside, tells when
// they are gone, kills them, reads what they used and removes the directories.
//
// The layout (names of ours in angle brackets):
//
//	<root>/supervisor/             we, where root held only us and was evacuated
//	<root>/jobs-<id>/              session: cgroup.kill here ends everything
//	<root>/jobs-<id>/<job>/        job: an inner node, so that it can delegate
//	<root>/jobs-<id>/<job>/main/   leaf with the job's processes
//
// A session is locked by flock(2) on its directory for as long as its
// supervisor, or the guardian that inherits the descriptor, is alive. A session
// without a lock was left behind, and the next supervisor removes it
// ([Session.RemoveStale]). Sessions and job nodes carry extended attributes
// (user.supervise.*, Linux 5.7), by which a nested supervisor recognises the job that
// it is in.
//
// A directory is never used again after cgroup.kill: the kernel remembers the
// kill and SIGKILLs, at birth, a process that clone3(CLONE_INTO_CGROUP) puts
// there (kill_seq, kernel/cgroup/cgroup.c).
//
// A program that uses this package calls [Init] first thing in main.
package cgroup

// Extended attributes of our directories.
const (
	xattrSession = "user.supervise.session" // on a session: the layout's version
	xattrJob     = "user.supervise.job"     // on a job node: the job's name
	xattrMain    = "user.supervise.main"    // on a job node: the pid of the main process, as its supervisor sees it
)

const layoutVersion = "2"
