// Package hostile sets programs on supervise that want to be rid of it, and sees what they leave behind.
//
// Each attack (integration/adversary, mode attack) is tried by a job of another user under root, by one of the same user, and by
// one of the same user with README's recipe; in a cgroup, and in the fallback. What holds is README's table, which -update
// writes anew. And random attacks are tried together, -rounds times, with a seed.
//
// It needs root, as each cell of the table has a user of its own: what a user may do to all its processes (kill -1, limits of
// processes) hits nothing else, and one signal to that user ends what is left.
package hostile

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-c1490a04/supervise/integration/testbed"
)

var (
	update = flag.Bool("update", false, "write README's table anew")
	rounds = flag.Int("rounds", 15, "how many rounds of random attacks")
	seed   = flag.Uint64("seed", 0, "of the random attacks; 0: a new one")
)

// bin is where the programs are, ground the cgroup of this run; noGround says why there is none.
var (
	bin, ground string
	noGround    error
)

func TestMain(m *testing.M) {
	flag.Parse()
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		given.Value.Set("8") // most of a cell is waiting
	}
	os.Exit(testbed.Run("hostile", func(dir string) int {
		bin = dir
		mount, err := testbed.Mount()
		if err == nil {
			ground = filepath.Join(mount, fmt.Sprintf("hostile-%d", os.Getpid()))
			err = os.Mkdir(ground, 0o755)
		}
		noGround = err
		code := m.Run()
		if noGround != nil {
			return code
		}
		if err := os.Remove(ground); err != nil {
			fmt.Fprintln(os.Stderr, "hostile: the cgroup of the run is not empty at the end:", err)
			code = max(code, 1)
		}
		return code
	}))
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only for root, which can be as many users as it likes")
	}
	testbed.Need(t, "a cgroup of our own", noGround)
}

// kind is a kind of user that the job runs as, and how the job is started for it.
type kind struct {
	name   string
	own    bool // supervise runs as this user as well
	recipe bool
}

// kinds are in the order of the table's columns.
var kinds = []kind{{name: "another user"}, {name: "same user", own: true}, {name: "same user, recipe", own: true, recipe: true}}

// recipe is README's, for programs that nobody trusts.
var recipe = strings.Fields("bwrap --dev-bind / / --unshare-user --unshare-pid --proc /proc --ro-bind /sys /sys --die-with-parent --")

// wrap is the command line of a program as the job of a user.
func (k kind) wrap(uid int, argv ...string) []string {
	switch {
	case k.recipe:
		return append(recipe[:len(recipe):len(recipe)], argv...)
	case !k.own:
		return append([]string{"setpriv", fmt.Sprint("--reuid=", uid), fmt.Sprint("--regid=", uid), "--clear-groups", "--"}, argv...)
	}
	return argv
}

// containments are in the order of the table's columns.
var containments = []string{"cgroup", "subreaper"}
